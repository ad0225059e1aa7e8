"""``freefill weights list``, ``pull`` and ``remove``, from file addresses: no connection."""

from __future__ import annotations

import hashlib
import json
import runpy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from freefill.cli.main import app
from freefill.weights import cache, download, registry

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SIZE = f"{registry.find('light').path.stat().st_size / 1e6:.1f} MB"
CARD = {"training": {"photos": 8_000_000, "crops": 16_000_000}}
ENTRY = """
[[weights]]
name = "{name}"
url = "{url}"
sha256 = "{sha256}"
bytes = {bytes}
licence = "{licence}"
architecture = "deepfill"
about = "Places2, 256x256"
card.training = {{ photos = 8000000, crops = 16000000 }}
"""


@pytest.fixture
def big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with ``big`` (a copy of the default weights) and ``free``; the cache is empty."""
    for variable in ("FREEFILL_OFFLINE", "FREEFILL_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FREEFILL_REGISTRY", str(tmp_path / "own.toml"))
    path = tmp_path / "big_model.onnx"
    shutil.copy(registry.find("light").path, path)
    content = path.read_bytes()
    known = {
        "url": path.as_uri(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    text = ENTRY.format(name="big", licence="CC BY-NC 4.0", **known)
    text += ENTRY.format(name="free", licence="MIT", **known)
    (tmp_path / "own.toml").write_text(text, "utf-8")
    return path


def test_list_shows_what_can_be_pulled(command: Run, big: Path) -> None:
    ran = command("weights", "list")
    assert ran.returncode == 0, ran.stderr
    here, _, rest = ran.stdout.partition("big, ")
    assert "light (default): " in here
    assert "  architecture: light" in here
    assert f"  file: {registry.find('light').path}" in here
    offered, _, free = rest.partition("free, ")
    assert f"not here yet: {SIZE}, licence CC BY-NC 4.0: not for commercial use" in offered
    assert "architecture: deepfill" in offered
    assert "Places2, 256x256" in offered
    assert "freefill weights pull big" in offered
    assert "commercial" not in free


def test_pull_list_card_fill_remove(
    command: Run, big: Path, examples: Path, tmp_path: Path
) -> None:
    ran = command("weights", "pull", "big")
    assert ran.returncode == 0, ran.stderr
    path = cache.path_of("big")
    assert ran.stderr == (f"freefill: big: {SIZE}, licence CC BY-NC 4.0: not for commercial use\n")
    assert ran.stdout.startswith(f"{path}: {SIZE}, sha256 as registered; {SIZE} in ")
    assert path.read_bytes() == big.read_bytes()

    ran = command("weights", "pull", "big")
    assert ran.stdout == f"{path}: here already, sha256 as registered\n"

    ran = command("weights", "list")
    assert f"{path}" in ran.stdout
    assert f"big: {SIZE}, licence CC BY-NC 4.0" in ran.stdout
    assert "trained on 8,000,000 photos, 16,000,000 crops\n" in ran.stdout
    assert "pull big" not in ran.stdout

    card = json.loads(command("weights", "card", "big").stdout)
    assert (card["training"], card["source"]) == (CARD["training"], big.as_uri())

    work = ("fill", examples / "bee.jpg", "-o", tmp_path / "bee.png", "--model", "big")
    assert command(*work).returncode == 0

    ran = command("weights", "remove", "big")
    assert ran.stdout == f"big is removed: {SIZE} freed\n"
    assert not path.exists()
    ran = command(*work, "--overwrite")
    assert ran.returncode == 2
    assert f"run `freefill weights pull big` ({SIZE})" in ran.stderr
    # The lock's file stays.
    assert [path.name for path in cache.folder().iterdir()] == [".big.lock"]


def test_a_licence_that_is_free_is_only_named(command: Run, big: Path) -> None:
    ran = command("weights", "pull", "free")
    assert ran.returncode == 0
    assert ran.stderr == f"freefill: free: {SIZE}, licence MIT\n"


def test_a_stopped_pull_says_how_far_it_came(
    command: Run, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHUNK", 1_000_000)
    fetch = cache.fetch

    def impatient(entry: registry.Entry, progress: download.Progress) -> Path:
        def tell(done: int, size: int) -> None:
            progress(done, size)
            if done >= 2_000_000:
                raise KeyboardInterrupt

        return fetch(entry, tell)

    monkeypatch.setattr(cache, "fetch", impatient)
    ran = command("weights", "pull", "big")
    assert ran.returncode == 130
    assert f"stopped at 2.0 of {SIZE}; the same command goes on from there" in ran.stderr
    assert "(2.0 MB of it here)" in command("weights", "list").stdout
    assert command("weights", "remove", "big").stdout == "big is removed: 2.0 MB freed\n"
    monkeypatch.setattr(cache, "fetch", fetch)
    assert command("weights", "pull", "big").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["pull", "huge"], "lama-small, big, free"),
        (["remove", "huge"], "no weights 'huge'"),
        (["remove", "big"], "there are none"),
        (["remove", "light"], "is bundled"),
        (["remove", "../own"], "no weights '../own'"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_refused(
    command: Run, big: Path, arguments: list[str], word: str
) -> None:
    ran = command("weights", *arguments)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert word in line


def test_a_damaged_file_is_refused_and_not_kept(command: Run, big: Path) -> None:
    content = bytearray(big.read_bytes())
    content[len(content) // 2] ^= 1
    big.write_bytes(content)
    ran = command("weights", "pull", "big")
    assert ran.returncode == 2
    assert hashlib.sha256(content).hexdigest() in ran.stderr
    # The lock's file stays.
    assert [path.name for path in cache.folder().iterdir()] == [".big.lock"]


def test_offline_is_said(command: Run, big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_OFFLINE", "1")
    monkeypatch.setenv("FREEFILL_MIRROR", "https://nowhere.invalid/weights")
    ran = command("weights", "pull", "big")
    assert ran.returncode == 2
    assert "https://nowhere.invalid/weights/big_model.onnx" in ran.stderr
    assert str(cache.path_of("big")) in ran.stderr


def test_pulling_what_is_bundled_does_nothing(command: Run, big: Path) -> None:
    ran = command("weights", "pull", "light")
    assert ran.returncode == 0
    assert "nothing to fetch" in ran.stdout


@pytest.mark.parametrize("card", [{"licence": "MIT"}, {"training": "elsewhere"}, None])
def test_list_takes_cards_as_they_are(
    command: Run, big: Path, card: dict[str, object] | None
) -> None:
    # Put there by hand, or by another version.
    path = cache.path_of("mine")
    path.parent.mkdir(parents=True)
    shutil.copy(big, path)
    if card is not None:
        path.with_suffix(".json").write_text(json.dumps(card))
    ran = command("weights", "list")
    assert ran.returncode == 0, ran.stderr
    assert f"mine: {SIZE}" in ran.stdout
    assert ("has no card" in ran.stdout) == (card is None)


def test_what_files_say_does_not_reach_the_terminal_as_it_is(command: Run, big: Path) -> None:
    path = cache.path_of("mine")
    path.parent.mkdir(parents=True)
    shutil.copy(big, path)
    said = {"licence": "MIT\x1b[2J\x07", "architecture": "\u202eelif \u00e9"}
    path.with_suffix(".json").write_text(json.dumps(said))
    ran = command("weights", "list")
    assert ran.returncode == 0
    assert r"licence MIT\x1b[2J\x07" in ran.stdout
    assert "\\u202eelif \u00e9\n" in ran.stdout
    ran = command("weights", "verify", "a\x1b]0;title\x07\n\x9b2J")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.isprintable()


def test_help_names_the_environment() -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["weights", "--help"]).stdout
    for word in ("CACHE", "OFFLINE", "MIRROR", "REGISTRY"):
        assert f"FREEFILL_{word}" in shown
    for name in ("list", "pull", "remove"):
        assert f"freefill weights {name}" in runner.invoke(app, ["weights", name, "--help"]).stdout


# --- networks from elsewhere ---------------------------------------------------------------------


@pytest.fixture
def lama(tmp_path: Path) -> Path:
    engines = Path(__file__).parents[1] / "pipeline" / "engines"
    made: Path = runpy.run_path(str(engines / "networks.py"))["lama"](tmp_path / "mine.onnx")
    return made


def test_the_list_says_what_weights_were_trained_on(command: Run, big: Path) -> None:
    listed = command("weights", "list").stdout
    for line in (
        "migan, not here yet: 28.1 MB, licence MIT; trained on Places2, whose terms are non-comm",
        "lama, not here yet: 208.0 MB, licence Apache-2.0; trained on Places2, whose terms are",
        "licence Apache-2.0; trained on 4892 photos, each listed with its licence, none of Places2",
    ):
        assert line in listed


def test_a_network_from_elsewhere_fills_and_is_named(
    command: Run, lama: Path, examples: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bee.png"
    ran = command("fill", examples / "bee.jpg", "-o", out, "--model", lama, "--explain")
    assert ran.returncode == 0
    assert "mine.onnx is taken for LaMa, 512x512, by its inputs and outputs" in ran.stderr
    assert "as 256x256, at full resolution" in ran.stdout
    # The stand-in fills with one colour: no hue comes back.
    ran = command("weights", "verify", lama)
    assert ran.returncode == 1
    assert "LaMa, 512x512 (image float32 1x3x512x512" in ran.stdout
    assert "hues are lost" in ran.stderr


def test_a_network_that_keeps_hues_is_verified(
    command: Run, lama: Path, examples: Path, tmp_path: Path
) -> None:
    engines = Path(__file__).parents[1] / "pipeline" / "engines"
    runpy.run_path(str(engines / "networks.py"))["lama"](lama, colour=None)
    ran = command("weights", "verify", lama, "--photo", examples / "fruit.jpg")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "mean error of known parts that were filled, of 255: rgb " in ran.stdout
    assert ran.stdout.endswith("hues are kept\n")


@pytest.mark.parametrize("licence", ['["MIT"]', "5", "null", '""', '{"name": "MIT"}'])
def test_a_licence_that_is_no_text_is_one_line(
    command: Run, big: Path, licence: str, tmp_path: Path
) -> None:
    assert command("weights", "pull", "free").returncode == 0
    card = cache.path_of("free").with_suffix(".json")
    held = json.loads(card.read_text())
    card.write_text(json.dumps(held | {"licence": json.loads(licence)}))
    ran = command("weights", "list")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"free: {SIZE}, licence not stated" in ran.stdout.replace("M parameters, ", "")
