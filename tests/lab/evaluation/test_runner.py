"""The runner: what is made, what is made again, and that the numbers are those of the metrics."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import DataError, ReferenceMissingError
from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation import runner
from freefill.lab.evaluation.baselines import Baseline, hide_hole_and_composite
from freefill.lab.evaluation.metrics import inception
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.lab.evaluation.metrics.pixel import l1, l2, psnr
from freefill.lab.evaluation.metrics.seam import seam
from freefill.lab.evaluation.metrics.ssim import ssim
from freefill.lab.evaluation.protocol import Manifest
from freefill.lab.evaluation.runner import window
from freefill.weights import third_party

if TYPE_CHECKING:
    from conftest import Evaluated

pytestmark = pytest.mark.usefixtures("networks")


class Fake:
    """A baseline that counts its calls: one grey, and a crash at a chosen call."""

    def __init__(self, name: str, grey: int, identity: str = "1") -> None:
        self.calls = 0
        self.stop_at = -1
        self.grey = grey
        self.baseline = Baseline(name, hide_hole_and_composite(self._fill), identity)

    def _fill(self, photo: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        self.calls += 1
        return np.where(hole[..., None], np.uint8(self.grey), photo)


@pytest.fixture
def evaluate(photos: Path, tmp_path: Path) -> Callable[..., int]:
    """Evaluate fakes on the protocol "thin", in a folder of their own."""
    manifest = protocols.build(photos, ["thin"])

    def run(*fakes: Fake, kid: bool = False, manifest: Manifest = manifest) -> int:
        baselines = [fake.baseline for fake in fakes]
        return runner.evaluate(photos, manifest, ["thin"], baselines, tmp_path / "out", kid=kid)

    return run


def without_times(content: bytes) -> dict[str, object]:
    found = json.loads(content)
    assert found.pop("seconds") > 0
    assert found.pop("first_seconds") != 0
    return dict(found)


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    """Compare all files, but for times."""
    assert list(found) == list(expected)
    return all(
        without_times(content) == without_times(expected[file])
        if file.endswith(".json") and "/truth/" not in file
        else content == expected[file]
        for file, content in found.items()
    )


def each(finished: Evaluated) -> Iterator[tuple[str, str, protocols.Sample, Path]]:
    """Give protocol, baseline, sample and PNG of every picture."""
    for name in finished.names:
        for photo in finished.manifest.photos:
            sample = protocols.sample(finished.manifest, finished.data, photo, name)
            for baseline in finished.baselines:
                yield (
                    name,
                    baseline.name,
                    sample,
                    runner.picture_path(finished.out, name, baseline.name, photo),
                )


def test_every_file_is_there_and_no_other(finished: Evaluated) -> None:
    stems = [file.rsplit(".", 1)[0] for file in (p.file for p in finished.manifest.photos)]
    expected = {
        f"{protocol}/{baseline}/{stem}{ending}"
        for protocol in finished.names
        for baseline in ("mean_colour", "telea", "copy")
        for stem in stems
        for ending in (".png", ".json", ".npy")
    }
    truth = {
        f"{p}/truth/{stem}{ending}"
        for p in finished.names
        for stem in stems
        for ending in (".npy", ".json")
    }
    assert set(finished.files()) == expected | truth


def test_pictures_keep_what_is_known(finished: Evaluated) -> None:
    filled = set()
    for _, baseline, sample, path in each(finished):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            pixels = np.asarray(image)
        np.testing.assert_array_equal(pixels[~sample.hole], sample.pixels[~sample.hole])
        assert (pixels[sample.hole] != sample.pixels[sample.hole]).any()
        filled.add((baseline, pixels.tobytes()))
    assert len(filled) == 30
    # The baseline's own fill, not another's.
    for _, baseline, sample, path in each(finished):
        if baseline == "telea":
            expected = finished.baselines[1].fill(sample.pixels, sample.hole)
            with Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(image), expected)


def test_measurements_are_those_of_the_metrics(finished: Evaluated) -> None:
    for name, baseline, sample, path in each(finished):
        with Image.open(path) as image:
            filled = np.asarray(image)
        true, hole = sample.pixels, sample.hole
        found = finished.results.measurements[name, baseline, sample.photo.file]
        assert found.area == hole.mean()
        assert found.values == {
            "lpips": lpips(filled, true),
            "l1": l1(filled, true),
            "l2": l2(filled, true),
            "psnr": psnr(filled, true),
            "ssim": ssim(filled, true),
            "seam": seam(filled, true, hole),
            "hole_lpips": lpips(filled, true, hole),
            "hole_l1": l1(filled, true, hole),
            "hole_l2": l2(filled, true, hole),
            "hole_psnr": psnr(filled, true, hole),
            "hole_ssim": ssim(filled, true, hole),
        }
        assert all(np.isfinite(value) for value in found.values.values())
        assert found.key == {
            "measures": runner.MEASURES,
            "photo": sample.photo.sha256,
            "hole": sample.photo.holes[name],
            "seed": 0,
            "method": next(r.identity for r in finished.baselines if r.name == baseline),
        }
        rows, columns = window(hole)
        for pixels, of in ((filled, baseline), (true, runner.TRUTH)):
            features = np.load(runner.feature_path(finished.out, name, of, sample.photo))
            expected = inception.features([pixels, pixels[rows, columns]])
            np.testing.assert_array_equal(features, expected)


@given(
    height=st.integers(64, 150),
    width=st.integers(64, 150),
    points=st.lists(
        st.tuples(st.integers(0, 10**4), st.integers(0, 10**4)), min_size=1, max_size=4
    ),
)
def test_window(height: int, width: int, points: list[tuple[int, int]]) -> None:
    hole = np.zeros((height, width), bool)
    for row, column in points:
        hole[row % height, column % width] = True
    cut = window(hole)
    assert hole[cut].sum() == hole.sum()
    for axis, taken in enumerate(cut):
        assert 0 <= taken.start <= taken.stop <= hole.shape[axis]
        places = np.flatnonzero(hole.any(1 - axis))
        extent = places[-1] - places[0] + 1
        assert taken.stop - taken.start == max(64, extent)
        # As near to the middle as the border allows.
        before, after = places[0] - taken.start, taken.stop - 1 - places[-1]
        if abs(before - after) > 1:
            assert taken.start == 0 if before < after else taken.stop == hole.shape[axis]


def test_second_call_makes_nothing(own: Evaluated) -> None:
    before = own.files()
    assert own.evaluate() == 0
    assert own.files() == before
    # What is not asked for is not in the way, and what is less is not made again.
    assert own.evaluate(kid=False) == 0
    assert own.evaluate(names=["thin"], baselines=own.baselines[:1]) == 0
    assert own.files() == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("telea/64/town_street.png", "one byte"),
        *itertools.product(
            (
                "telea/64/flower_bee.png",
                "copy/96/town_bricks.json",
                "telea/64/town_street.npy",
                "truth/96/flower_fruit.npy",
                "truth/96/flower_fruit.json",
            ),
            ("deleted", "empty", "cut", "rubbish"),
        ),
    ],
)
def test_what_is_damaged_is_made_again_alone(own: Evaluated, file: str, damage: str) -> None:
    before = own.files()
    path = own.out / "pictures/thin" / file
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "cut": content[:-20],
                "rubbish": b"rubbish",
                "one byte": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            }[damage]
        )
    with pytest.raises(DataError, match=r"thin/.* is not there or not finished: evaluate again"):
        own.collect()
    assert own.evaluate() == 1
    assert same(own.files(), before)
    changed = [name for name, content in own.files().items() if content != before[name]]
    (stem,) = {name.rsplit(".", 1)[0] for name in changed}
    assert stem == f"thin/{file}".rsplit(".", 1)[0].replace("truth", "mean_colour")
    assert own.evaluate() == 0
    assert own.collect().measurements.keys() == own.results.measurements.keys()


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"key": 1}',
        "null",
        '{"key": {}, "area": 0, "values": 3, "seconds": 1, "first_seconds": 1, "first": ""}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_other_json_is_no_measurement(own: Evaluated, text: str) -> None:
    (own.out / "pictures/centre/telea/64/flower_bee.json").write_text(text)
    assert own.evaluate() == 1


def test_measurement_without_a_metric_is_made_again(own: Evaluated) -> None:
    path = own.out / "pictures/centre/telea/64/flower_bee.json"
    measurement = json.loads(path.read_text())
    del measurement["values"]["seam"]
    path.write_text(json.dumps(measurement))
    assert own.evaluate() == 1
    assert "seam" in json.loads(path.read_text())["values"]


def test_changed_baseline_is_made_again_alone(own: Evaluated) -> None:
    before = own.files()
    other = dataclasses.replace(own.baselines[1], identity="another")
    assert own.evaluate(baselines=(own.baselines[0], other, own.baselines[2])) == 10
    for name, content in own.files().items():
        if "/telea/" not in name or not name.endswith(".json"):
            assert content == before[name]
        else:
            assert json.loads(content)["key"]["method"] == "another"


def test_added_baseline_is_made_alone(own: Evaluated) -> None:
    before = own.files()
    grey = Fake("grey", 99)
    assert own.evaluate(baselines=(*own.baselines, grey.baseline)) == 10
    after = own.files()
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[1] for name in after.keys() - before.keys()} == {"grey"}


def test_another_first_baseline_times_again_and_makes_nothing_else(
    own: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TIMED", 1)
    before = own.files()
    mean_colour, telea, copy = own.baselines
    order = (telea, mean_colour, copy)
    # One photo of each of two sizes and two protocols, for each of the two that are not the first.
    assert own.evaluate(baselines=order) == 8
    assert same_but_first(own.files(), before)
    changed = {name for name, content in own.files().items() if content != before[name]}
    assert changed == {
        f"{protocol}/{baseline}/{photo}.json"
        for protocol in own.names
        for baseline in ("mean_colour", "copy")
        for photo in ("64/flower_bee", "96/flower_fruit")
    }
    assert own.evaluate(baselines=order) == 0
    # What was timed against another is no time now, of the first least of all.
    found = own.collect(order)
    for (_, baseline, file), measurement in found.measurements.items():
        timed = baseline != "telea" and file in ("64/flower_bee.png", "96/flower_fruit.png")
        assert (measurement.first_seconds is not None) == timed
        assert measurement.first == (telea.identity if timed else None)
    assert [row.time is None for row in found.tables[0].rows] == [True, False, False]
    # In the old order telea's times are still there; those of the last were replaced.
    assert own.evaluate() == 4


def same_but_first(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    drop = {"seconds", "first_seconds", "first"}
    return list(found) == list(expected) and all(
        content == expected[name]
        or {k: v for k, v in json.loads(content).items() if k not in drop}
        == {k: v for k, v in json.loads(expected[name]).items() if k not in drop}
        for name, content in found.items()
    )


@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_interrupted_goes_on_with_the_rest(
    evaluate: Callable[..., int], tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TIMED", 0)
    first, second = Fake("first", 50), Fake("second", 200)
    second.stop_at = after
    with pytest.raises(KeyboardInterrupt):
        evaluate(first, second)
    assert (first.calls, second.calls) == (5, after)
    second.stop_at = -1
    assert evaluate(first, second) == 5 - after
    assert (first.calls, second.calls) == (5, 5)
    assert evaluate(first, second) == 0
    assert (first.calls, second.calls) == (5, 5)
    assert len(list((tmp_path / "out/pictures/thin").rglob("*.png"))) == 10
    assert not list((tmp_path / "out").rglob("*.partial"))


@pytest.mark.parametrize("ending", [".npy", ".png", ".json"])
def test_stopped_between_two_files_of_a_picture(
    evaluate: Callable[..., int], ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture is finished with its last file; until then it is neither the old nor the new."""
    old, new = Fake("mine", 50, "old"), Fake("mine", 200, "new")
    assert evaluate(old, kid=True) == 5
    folder = tmp_path / "out/pictures/thin/mine"
    before = {path: path.read_bytes() for path in folder.rglob("*.[np]*")}
    write = runner.write_atomically

    def stop(path: Path, content: bytes) -> None:
        if path.suffix == ending and "truth" not in path.parts:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "write_atomically", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate(new, kid=True)
    assert evaluate(old, kid=True) == 1
    assert {path: path.read_bytes() for path in before} == before


def test_new_features_with_a_new_picture(
    evaluate: Callable[..., int], photos: Path, tmp_path: Path
) -> None:
    """Features of an older picture are not taken for those of a newer one."""
    old, new = Fake("mine", 50, "old"), Fake("mine", 200, "new")
    assert evaluate(old, kid=True) == 5
    assert evaluate(new, kid=False) == 5
    assert evaluate(new, kid=True) == 5
    for path in (tmp_path / "out/pictures/thin/mine").rglob("*.png"):
        with Image.open(path) as image:
            expected = inception.features([np.asarray(image)])
        np.testing.assert_array_equal(np.load(path.with_suffix(".npy"))[:1], expected)


def test_features_of_the_truth_belong_to_the_manifest(
    evaluate: Callable[..., int], photos: Path, tmp_path: Path
) -> None:
    """One folder, two manifests: each time the window is on the holes of the one in use."""
    one, other = (protocols.build(photos, ["thin"], seed=seed) for seed in (0, 1))
    truth = tmp_path / "out/pictures/thin/truth"
    evaluate(Fake("a", 1), kid=True, manifest=one)
    expected = {path.name: np.load(path) for path in truth.rglob("*.npy")}
    evaluate(Fake("b", 1), kid=True, manifest=other)
    evaluate(Fake("a", 1), kid=True, manifest=one)
    for path in truth.rglob("*.npy"):
        np.testing.assert_array_equal(np.load(path), expected[path.name])


def test_features_later(evaluate: Callable[..., int], tmp_path: Path) -> None:
    fakes = Fake("a", 0), Fake("b", 255)
    assert evaluate(*fakes) == 10
    assert not list((tmp_path / "out").rglob("*.npy"))
    assert evaluate(*fakes, kid=True) == 10
    assert len(list((tmp_path / "out").rglob("*.npy"))) == 15
    assert evaluate(*fakes) == 0


def test_times(
    evaluate: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that only the baselines move: their fills alone, warm, one after the other."""
    now = 0.0
    seen: set[tuple[str, tuple[int, ...]]] = set()

    def baseline(name: str, seconds: float) -> Baseline:
        def fill(photo: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
            nonlocal now
            now += seconds if (name, photo.shape) in seen else 100
            seen.add((name, photo.shape))
            return photo.copy()

        return Baseline(name, fill, name)

    monkeypatch.setattr(runner.time, "perf_counter", lambda: now)
    monkeypatch.setattr(runner, "TIMED", 2)
    fakes = [Fake("first", 0), Fake("second", 0)]
    for fake, seconds in zip(fakes, (0.5, 2.0), strict=True):
        fake.baseline = baseline(fake.baseline.name, seconds)
    assert evaluate(*fakes) == 10
    found = [
        json.loads((tmp_path / f"out/pictures/thin/second/{name}.json").read_text())
        for name in (
            *("64/flower_bee", "64/flower_dahlia", "64/town_street"),
            *("96/flower_fruit", "96/town_bricks"),
        )
    ]
    # Timed ones are warm; what is not timed need not be.
    assert [m["seconds"] for m in found if m["first"]] == [2.0] * 4
    # Two of each size are timed.
    assert [m["first_seconds"] for m in found] == [0.5, 0.5, None, 0.5, 0.5]
    assert [m["first"] for m in found] == ["first", "first", None, "first", "first"]
    for path in (tmp_path / "out/pictures/thin/first").rglob("*.json"):
        assert json.loads(path.read_text())["first_seconds"] is None


def test_tasks_and_progress(own: Evaluated) -> None:
    told: list[tuple[int, int, str]] = []
    own.evaluate(report=lambda *args: told.append(args))
    assert [done for done, _, _ in told] == list(range(1, 31))
    assert {total for _, total, _ in told} == {30}
    lines = list(dict.fromkeys(line for _, _, line in told))
    assert lines == [f"{p}, {r}" for p in own.names for r in ("mean_colour", "telea", "copy")]


def test_wrong_hole_is_refused(evaluate: Callable[..., int], photos: Path, tmp_path: Path) -> None:
    manifest = protocols.build(photos, ["thin"])
    wrong = dataclasses.replace(manifest.photos[3], holes={"thin": "0" * 16})
    changed = dataclasses.replace(manifest, photos=(*manifest.photos[:3], wrong))
    fake = Fake("a", 1)
    with pytest.raises(DataError, match=r"the thin hole of 96/flower_fruit\.png is"):
        evaluate(fake, manifest=changed)
    assert fake.calls == 3


@pytest.mark.parametrize(("kid", "name"), [(False, "lpips_alex"), (True, "inception")])
def test_missing_network_is_found_before_anything_is_filled(
    evaluate: Callable[..., int],
    networks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kid: bool,
    name: str,
) -> None:
    folder = tmp_path / "networks"
    folder.mkdir()
    if kid:
        file = third_party.MODELS["lpips_alex"].file
        (folder / file).write_bytes((networks / file).read_bytes())
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(folder))
    fake = Fake("a", 1)
    with pytest.raises(ReferenceMissingError, match=f"freefill references {name}"):
        evaluate(fake, kid=kid)
    assert fake.calls == 0
    assert not (tmp_path / "out").exists()
