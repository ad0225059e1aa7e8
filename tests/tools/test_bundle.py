"""Bundling a run: everything that goes with weights is exchanged, or nothing is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bundle
from bundling import choosing, documents, golden, measuring
from bundling.exchange import exchange
from freefill.errors import ConfigError, WeightsError
from freefill.lab.evaluation import protocol as protocols
from freefill.pipeline.inpainter import Inpainter
from freefill.weights.registry import Weights
from scoring import photos
from scoring.measuring import Values
from scoring.progress import Progress

Ruin = Callable[[bytes], bytes]

EXAMPLES = Path(__file__).parents[2] / "examples"
LIGHT = Path("src/freefill/weights/bundled/light.onnx")
REGISTRY = """# A comment with sha256 = "..." in it:
#   [[weights]]

[[weights]]
name = "big"
sha256 = "1"
bytes = 9

[[weights]]
name = "light"
bundled = true
sha256 = "0"   # of the .onnx
bytes = 1
licence = "Apache-2.0"
about = "sha256 = none of this"
"""
README = f"""# A project

{documents.FROM}
| | free-form, 256 | centre, 256 | free-form, 512 | centre, 512 | time over light's, 512 |
| --- | --- | --- | --- | --- | --- |
| light | 99 | **98** | 99 | 99 | 1 |
| telea | **0.000** | 98.5 | **9.000** | **9.000** | 1.2 |
{documents.TO}

The end.
"""


@dataclass(frozen=True)
class Repository:
    """What the command reads and writes, in a folder of a test."""

    root: Path

    @property
    def weights(self) -> Weights:
        return Weights("light", self.root / LIGHT)

    def files(self) -> dict[str, bytes]:
        paths = sorted(p for p in self.root.rglob("*") if p.is_file())
        found = {str(p.relative_to(self.root)): p.read_bytes() for p in paths}
        return {name: content for name, content in found.items() if not name.startswith("out/")}

    def run(self, *args: object) -> int:
        where = ["--data", self.root / "photos", "--manifest", self.root / "photos.toml"]
        where += ["--held", self.root / "held", "--work", self.root / "out"]
        return bundle.main([str(word) for word in [*args, *where]], self.root)


@pytest.fixture
def repository(
    new: Path, ruined: Ruin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Repository:
    """A repository whose bundled weights are ruined, so that those of `new` are better."""
    root = tmp_path / "root"
    bundled = root / LIGHT
    bundled.parent.mkdir(parents=True)
    bundled.write_bytes(ruined((new / "light.onnx").read_bytes()))
    bundled.with_suffix(".json").write_text("{}")
    bundled.with_suffix(".safetensors").write_bytes(b"old")
    (bundled.parents[1] / "registry.toml").write_text(REGISTRY)
    (root / "README.md").write_text(README)
    (root / "configs").mkdir()
    (root / "configs/light.notes.json").write_text(
        '{"licence": "CC0", "metrics": {"lpips": "of others"}}'
    )
    (root / "examples").symlink_to(EXAMPLES)
    (root / "tests/golden/0123456789ab-1").mkdir(parents=True)
    (root / "tests/golden/0123456789ab-1/old.png").write_bytes(b"old")
    for folder, example in (("256", "bee"), ("512", "street")):
        target = root / f"photos/{folder}/{example}.png"
        target.parent.mkdir(parents=True)
        with Image.open(EXAMPLES / f"{example}.jpg") as image:
            image.crop((90, 90, 170, 170)).save(target)
    monkeypatch.setattr(photos, "SIDES", {"held-out-256": 64, "held-out-512": 80})
    (root / "docs/data").mkdir(parents=True)
    (root / photos.LIST).write_text("file,use\na.png,held-out-256\nb.png,held-out-512\n")
    for name, example in (("a", "cat"), ("b", "fruit")):
        (root / "held").mkdir(exist_ok=True)
        with Image.open(EXAMPLES / f"{example}.jpg") as image:
            image.crop((100, 100, 180, 180)).save(root / f"held/{name}.png")
    manifest = protocols.build(root / "photos", ("free-form", "centre"))
    (root / "photos.toml").write_text(manifest.to_toml())

    def exported(
        run: Path, out: Path, *, notes: dict[str, Any], on_message: object
    ) -> dict[str, Any]:
        for ending in (".onnx", ".json", ".safetensors"):
            shutil.copy(new / f"light{ending}", out.with_suffix(ending))
        card: dict[str, Any] = json.loads((new / "light.json").read_text()) | notes
        return card

    monkeypatch.setattr(bundle, "export", exported)
    return Repository(root)


def _never(*_: object, **__: object) -> None:
    raise AssertionError("this is not to be reached")


def _leftovers(root: Path) -> list[Path]:
    return [p for p in root.rglob(".*") if p.is_file()]


def test_better_weights_are_bundled_with_all_that_goes_with_them(
    repository: Repository, new: Path
) -> None:
    root, before = repository.root, repository.weights.short
    assert repository.run(new) == bundle.DONE
    weights = Weights("light", root / LIGHT)
    assert weights.path.read_bytes() == (new / "light.onnx").read_bytes()
    tensors = (new / "light.safetensors").read_bytes()
    assert weights.path.with_suffix(".safetensors").read_bytes() == tensors
    weights.check()
    assert weights.card["licence"] == "CC0"
    metrics = weights.card["metrics"]
    assert (metrics["weights"], metrics["before"]["weights"]) == (weights.short, before)
    assert "lpips" not in metrics
    ours, theirs = metrics["lpips_alex"], metrics["before"]["lpips_alex"]
    assert list(ours) == ["free-form, 256", "centre, 256", "free-form, 512", "centre, 512"]
    assert all(0 < ours[column]["light"] < theirs[column] for column in ours)

    held = metrics["held_out"]
    assert list(held["lpips_alex"]) == [
        f"{kind}, {side}" for side in (64, 80) for kind in ("free-form", "centre")
    ]
    assert held["score"] == pytest.approx(np.mean(list(held["lpips_alex"].values())), abs=1e-4)
    assert held["score"] < held["before"]["score"]
    assert held["before"]["weights"] == before
    assert held["before"]["p"] == 0.5  # two photos, both lower
    assert held["list"]["file"] == "docs/data/photos.csv"
    assert set(held["photos"].values()) == {1}

    expected = REGISTRY.replace(
        'sha256 = "0"   # of the .onnx', f'sha256 = "{weights.card["sha256"]}"'
    )
    expected = expected.replace("bytes = 1\n", f"bytes = {weights.size}\n").replace(
        'licence = "Apache-2.0"', 'licence = "CC0"'
    )
    assert (root / "src/freefill/weights/registry.toml").read_text() == expected

    (folder,) = (root / "tests/golden").iterdir()
    assert folder == golden.folder(root / "tests/golden", weights)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert not golden.differences(kept, golden.make(EXAMPLES, Inpainter(weights.path)))

    text = (root / "README.md").read_text()
    assert f"`light` is `{weights.short}`" in text
    cells = [f"{ours[column]['light']:.3f}" for column in ours]
    assert f"| light | {cells[0]} | **{cells[1]}** | **{cells[2]}** | **{cells[3]}** | 1 |" in text
    assert "| telea | **0.000** | 98.5 | 9.000 | 9.000 | 1.2 |" in text
    assert text.startswith("# A project\n\n<!--")
    assert text.endswith("-->\n\nThe end.\n")
    page = (root / "docs/results/bundled.md").read_text()
    assert f"- weights: `{weights.short}`" in page
    assert f"- before: `{before}`" in page
    assert f"| score |  | {held['score']:.4f} | {held['before']['score']:.4f} |" in page
    assert f"no significant difference to {before} (p = 0.5)" in page
    assert not _leftovers(root)


def test_weights_that_are_not_better_are_refused_unless_told_otherwise(
    repository: Repository, new: Path, ruined: Ruin, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    root = repository.root
    good = (new / "light.onnx").read_bytes()
    (root / LIGHT).write_bytes(good)
    honest = bundle.export

    def worse(run: Path, out: Path, **given: Any) -> dict[str, Any]:
        card = honest(run, out, **given)
        out.write_bytes(ruined(good))
        # The card tells of the file that is there.
        stated = json.loads(out.with_suffix(".json").read_text())
        changed = {
            "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
            "bytes": out.stat().st_size,
        }
        stated |= {key: value for key, value in changed.items() if key in stated}
        out.with_suffix(".json").write_text(json.dumps(stated))
        return card

    monkeypatch.setattr(bundle, "export", worse)
    before = repository.files()
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "measure", _never)
        assert repository.run(new) == bundle.WORSE
    assert repository.files() == before
    said = capsys.readouterr().err
    assert "is not better than" in said
    assert "p = 0.5" in said
    assert repository.run(new, "--even-if-worse") == bundle.DONE
    assert (root / LIGHT).read_bytes() == ruined(good)


def test_the_held_out_photos_decide_and_the_test_photos_do_not(
    repository: Repository, new: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The test photos say that those of `new` are better; a score that is as low is not enough."""
    kept = repository.files()
    scores = {Weights("x", new / "light.onnx").short: 0.2, repository.weights.short: 0.2}

    def known(weights: Weights, held: list[photos.Photo], *_: object, **__: object) -> Values:
        return np.full((len(held), 4, 2), scores[weights.short])

    monkeypatch.setattr(choosing, "measure", known)
    assert repository.run(new) == bundle.WORSE
    assert repository.files() == kept
    assert "0.2000, bundled 0.2000; no significant difference" in capsys.readouterr().err
    scores[repository.weights.short] = 0.201
    assert repository.run(new) == bundle.DONE


def test_photos_that_are_missing_are_found_before_the_work(
    repository: Repository, new: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(bundle, "export", _never)
    (repository.root / "photos/256/bee.png").rename(repository.root / "bee.png")
    assert repository.run(new) == bundle.REFUSED
    assert "1 of 2 photos in" in capsys.readouterr().err
    (repository.root / "held/b.png").unlink()
    assert repository.run(new) == bundle.REFUSED
    assert "1 of 2 held-out photos are not below" in capsys.readouterr().err


def test_weights_that_are_bundled_already_are_refused(
    repository: Repository, new: Path, capsys: Any
) -> None:
    shutil.copy(new / "light.onnx", repository.root / LIGHT)
    before = repository.files()
    assert repository.run(new) == bundle.REFUSED
    assert "bundled already: use --again" in capsys.readouterr().err
    assert repository.files() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the disk is full")])
@pytest.mark.parametrize("number", [0, 7, 17])
def test_a_failure_in_the_middle_leaves_everything_as_it_was(
    repository: Repository,
    new: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: BaseException,
) -> None:
    before = repository.files()
    left = [number]
    honest = Path.replace

    def replace(self: Path, target: Path) -> Path:
        # The renames of the exchange alone, not those of other files that come to be whole.
        if "." in self.suffix and (self.suffix == ".new" or Path(target).suffix == ".old"):
            left[0] -= 1
            if left[0] < 0:
                raise error
        return honest(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    code = repository.run(new, "--skip-table", "--even-if-worse")
    assert left[0] < 0
    assert code == (bundle.STOPPED if isinstance(error, KeyboardInterrupt) else bundle.REFUSED)
    assert repository.files() == before
    assert not _leftovers(repository.root)


@pytest.mark.parametrize("stage", ["held-out photos", "pictures of the test photos"])
def test_stopped_while_measuring_nothing_has_changed(
    repository: Repository, new: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def stop(self: Progress, *_: object) -> None:
        if self.things == stage:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "__call__", stop)
    before = repository.files()
    assert repository.run(new) == bundle.STOPPED
    assert repository.files() == before


def test_again_after_the_pipeline_changed(
    repository: Repository, new: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    root = repository.root
    assert repository.run(new, "--skip-table", "--even-if-worse") == bundle.DONE
    assert (root / "README.md").read_text() == README
    honest = golden.make

    def otherwise(examples: Path, inpainter: Inpainter) -> dict[str, bytes]:
        fills = honest(examples, inpainter)
        return fills | {"small.png": fills["alpha.png"]}

    monkeypatch.setattr(golden, "make", otherwise)
    before = repository.files()
    assert repository.run("--again", "--skip-table") == bundle.REFUSED
    assert "raise it in src/freefill/pipeline/inpainter.py" in capsys.readouterr().err
    assert repository.files() == before
    monkeypatch.setattr(golden, "PIPELINE_VERSION", 99)
    assert repository.run("--again", "--skip-table") == bundle.DONE
    (folder,) = (root / "tests/golden").iterdir()
    assert folder.name == f"{repository.weights.short}-99"
    assert (folder / "small.png").read_bytes() == (folder / "alpha.png").read_bytes()


def test_again_measures_both_kinds_of_photos(repository: Repository, new: Path) -> None:
    root = repository.root
    assert repository.run(new) == bundle.DONE
    first = repository.weights.card["metrics"]
    card = root / LIGHT.with_suffix(".json")
    changed = json.loads(card.read_text())
    changed["metrics"] |= {"kid": 3, "held_out": {}}
    card.write_text(json.dumps(changed))
    assert repository.run("--again") == bundle.DONE
    metrics = repository.weights.card["metrics"]
    assert metrics["kid"] == 3
    assert metrics["held_out"] == {k: v for k, v in first["held_out"].items() if k != "before"}
    page = (root / "docs/results/bundled.md").read_text()
    assert f"| score |  | {metrics['held_out']['score']:.4f} |\n" in page
    assert "before" not in page


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ([], "name the run"),
        (["run", "--skip-table"], "nobody knows"),
        (["run", "--name", "big"], "there is light"),
        (["run", "--again"], "leave out RUN"),
        (["run", "--notes", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    repository: Repository, args: list[str], line: str, capsys: Any
) -> None:
    assert repository.run(*args) == bundle.REFUSED
    assert line in capsys.readouterr().err


def test_what_cannot_be_written_is_found_before_the_work(
    repository: Repository, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "export", _never)
    (repository.root / "README.md").write_text("no table")
    assert repository.run(new) == bundle.REFUSED
    registry = repository.root / "src/freefill/weights/registry.toml"
    registry.write_text('[[weights]]\nname = "other"\nsha256 = "1"\nbytes = 2\n')
    with pytest.raises(ConfigError, match="no entry 'light'"):
        documents.registry(registry.read_text(), {"name": "light", "sha256": "", "bytes": 0})


def test_the_card_counts_the_photos_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text(
        "file,use,sizes,source,path,author,licence\n"
        'a.jpg,train,256,COCO,a,"A, B",CC BY 2.0\n'
        "b.jpg,train,256,COCO,b,C,CC BY 2.0\n"
        "c.jpg,holdout,256,COCO,c,C,CC0\n"
    )
    found = documents.photo_list({"data": {"list": "photos.csv"}}, tmp_path)
    assert found is not None
    assert len(found["sha256"]) == 64
    assert found["photos"] == [
        {"use": "holdout", "source": "COCO", "licence": "CC0", "photos": 1},
        {"use": "train", "source": "COCO", "licence": "CC BY 2.0", "photos": 2},
    ]
    card = documents.card({"data": {"note": "n"}}, "light", None, found)
    assert card["data"] == {"note": "n", "list": found}
    assert documents.photo_list({"data": {}}, tmp_path) is None
    (tmp_path / "photos.csv").write_text("file,use\n")
    with pytest.raises(ConfigError, match="no column source, licence"):
        documents.photo_list({"data": {"list": "photos.csv"}}, tmp_path)
    with pytest.raises(ConfigError, match=r"other\.csv is not here"):
        documents.photo_list({"data": {"list": "other.csv"}}, tmp_path)


def test_an_exchange_is_not_parted_by_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/b").write_bytes(b"old")
    honest: Callable[[Path, Path], Path] = Path.replace

    def replace(self: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return honest(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    exchange({tmp_path / "a": b"new", tmp_path / "gone/b": None, tmp_path / "new/c": b"new"})
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "c", "new"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_an_exchange_that_cannot_be_written_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(WeightsError):
        exchange({tmp_path / "new/a": b"new", tmp_path / "file/b": b"new"})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
