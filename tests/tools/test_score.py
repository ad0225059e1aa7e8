"""The score that networks are chosen by: right numbers, of the right photos, none twice."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import score
from freefill.errors import ConfigError, DataError
from freefill.lab.evaluation.baselines import Fill
from freefill.masks.presets import sample
from freefill.types import Mask, Pixels
from freefill.weights.registry import Weights
from scoring import comparing, measuring, networks, photos, sheets
from scoring.measuring import Values
from scoring.photos import Photo
from scoring.progress import Progress

LISTED = """file,use,licence
small_1.jpg,held-out-256,CC0
seen.jpg,train,CC0
large_1.jpg,held-out-512,CC0
small_2.jpg,held-out-256,CC0
small_3.jpg,held-out-256,CC0
"""
SMALL, LARGE = 64, 96
NAMES = ["small_1.jpg", "small_2.jpg", "small_3.jpg", "large_1.jpg"]


@dataclass(frozen=True)
class Place:
    """A repository with a list, and a folder of its held-out photos."""

    root: Path

    def run(self, *args: object) -> int:
        where = ["--data", self.root / "data", "--work", self.root / "work", "--threads", 1]
        return score.main([str(word) for word in [*args, *where]], self.root)

    def held(self) -> list[Photo]:
        return photos.held_out(self.root / photos.LIST, self.root / "data")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(photos, "SIDES", {"held-out-256": SMALL, "held-out-512": LARGE})
    monkeypatch.setattr(measuring, "ROUNDS", 1)
    table = tmp_path / photos.LIST
    table.parent.mkdir(parents=True)
    table.write_text(LISTED)
    rng = np.random.default_rng(0)
    for name in NAMES:
        side = SMALL if name.startswith("small") else LARGE
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        path = tmp_path / f"data/{side}/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=95)
    return Place(tmp_path)


def _photos(small: int, large: int) -> list[Photo]:
    """Black photos of both sides."""
    sides = [SMALL] * small + [LARGE] * large
    return [
        Photo(f"{i}.jpg", i, np.zeros((side, side, 3), np.uint8)) for i, side in enumerate(sides)
    ]


def _of_each(each: Sequence[float]) -> Values:
    """Give values with one LPIPS for all holes of a photo."""
    values = np.full((len(each), 4, 2), 20.0)
    values[:, :, 0] = np.array(each)[:, None]
    return values


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Fills are counted: (first digits of the weights' hash, side)."""
    calls: list[tuple[str, int]] = []
    honest = measuring.filler

    def filler(weights: Weights, threads: int | None = None) -> Fill:
        fill = honest(weights, threads)

        def count(photo: Pixels, hole: Mask) -> Pixels:
            calls.append((weights.short, len(photo)))
            return fill(photo, hole)

        return count

    monkeypatch.setattr(measuring, "filler", filler)
    return calls


def test_columns_and_score_of_known_fills(
    new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fills of one grey level, measured by their mean error: it is known from the holes alone."""

    def filler(weights: Weights, threads: int | None = None) -> Fill:
        def fill(photo: Pixels, hole: Mask) -> Pixels:
            level = 51 if len(photo) == SMALL else 102
            return np.where(hole[..., None], np.uint8(level), photo)

        return fill

    def mean_error(fills: Sequence[Pixels], truth: Pixels) -> list[float]:
        return [float(np.abs(fill.astype(float) - truth).mean()) / 255 for fill in fills]

    monkeypatch.setattr(measuring, "filler", filler)
    monkeypatch.setattr(measuring, "lpips_of_each", mean_error)
    black = _photos(3, 1)
    values = measuring.measure(Weights("x", new / "light.onnx"), black, tmp_path)
    found = comparing.score(black, values)

    def share(side: int, indices: Sequence[int]) -> float:
        drawn = [
            sample("free-form", side, side, np.random.default_rng([seed, index])).mean()
            for index in indices
            for seed in (0, 1, 2)
        ]
        return float(np.mean(drawn))

    expected = {
        "free-form, 64": 0.2 * share(SMALL, [0, 1, 2]),
        "centre, 64": 0.2 / 4,
        "free-form, 96": 0.4 * share(LARGE, [3]),
        "centre, 96": 0.4 / 4,
    }
    assert found.columns == pytest.approx(expected)
    assert list(found.columns) == list(expected)
    assert found.photos == dict(zip(expected, (3, 3, 1, 1), strict=True))
    assert found.score == pytest.approx(sum(expected.values()) / 4)
    assert found.each.mean() == pytest.approx(found.score)
    # 20 log10(255 / 51) and 20 log10(255 / 102), in the hole alone.
    assert found.psnr == pytest.approx((13.9794 + 7.9588) / 2, abs=1e-4)


def test_interval_and_p_of_known_differences() -> None:
    black = _photos(4, 2)
    base = [0.3, 0.5, 0.4, 0.6, 0.2, 0.7]
    first = comparing.score(black, _of_each(base))
    # -0.4 at the small side and -0.2 at the large one: -0.3 is what every photo says.
    lower = [value - (0.4 if i < 4 else 0.2) for i, value in enumerate(base)]
    found = comparing.compare(first, comparing.score(black, _of_each(lower)))
    assert found[:3] == pytest.approx((-0.3, -0.3, -0.3))
    # All six lower by amounts that differ: two of 2^6 orders of signs are as far out.
    other = [value - 0.01 * (i + 1) for i, value in enumerate(base)]
    found = comparing.compare(first, comparing.score(black, _of_each(other)))
    assert found.p == pytest.approx(2 / 64)
    assert found.difference == pytest.approx(-(0.025 + 0.055) / 2)
    assert found.low < found.difference < found.high < 0
    assert comparing.verdict("a", found).startswith("better than a: -0.0400 [")
    # One of six is higher, the least: p = 4/64.
    other[0] = base[0] + 0.001
    found = comparing.compare(first, comparing.score(black, _of_each(other)))
    assert found.p == pytest.approx(4 / 64)
    assert "no significant difference to a (p = 0.062)" in comparing.verdict("a", found)


def test_photos_are_found_by_name_at_the_size_that_fits(place: Place) -> None:
    data = place.root / "data"
    found = place.held()
    assert [(p.file, p.index, p.side) for p in found] == [
        *((name, i, SMALL) for i, name in enumerate(NAMES[:3])),
        ("large_1.jpg", 0, LARGE),
    ]
    # The same names elsewhere: flat colours, and a mark where the centre is.
    for name, size in (("small_1.jpg", (200, 100)), ("large_1.jpg", (130, 196))):
        pixels = np.zeros((size[1], size[0], 3), np.uint8)
        pixels[size[1] // 2 :, size[0] // 2 :] = 255
        (data / "more").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(data / "more" / name, quality=100)
    Image.new("RGB", (40, 40)).save(data / "small_1.jpg")
    again = place.held()
    assert [p.digest for p in again[:3]] == [p.digest for p in found[:3]]
    largest = again[3].pixels.mean(2)
    assert largest.shape == (LARGE, LARGE)
    corners = [largest[y, x] for y in (47, 48) for x in (47, 48)]
    assert corners == pytest.approx([0, 0, 0, 255], abs=3)


def test_missing_and_small_photos_are_named_and_counted(place: Place, capsys: Any) -> None:
    data = place.root / "data"
    (data / "64/small_2.jpg").unlink()
    (data / "96/large_1.jpg").unlink()
    assert place.run("light") == score.REFUSED
    said = capsys.readouterr().err
    assert "2 of 4 held-out photos are not below" in said
    assert "large_1.jpg; small_2.jpg" in said
    for name, size in (("small_2.jpg", (64, 64)), ("large_1.jpg", (200, 95))):
        Image.new("RGB", size).save(data / name)
    with pytest.raises(DataError, match=r"1 of 4 .* large_1\.jpg has 95 pixels of 96"):
        place.held()
    (place.root / photos.LIST).write_text("file,use\na.jpg,train\nb.jpg,held-out-256\n")
    with pytest.raises(DataError, match="2 photos, none of them for held-out-512"):
        place.held()


def test_what_was_measured_is_not_measured_again(
    place: Place, new: Path, ruined: Callable[[bytes], bytes], counted: list[tuple[str, int]]
) -> None:
    good, bad = new / "light.onnx", place.root / "bad.onnx"
    bad.write_bytes(ruined(good.read_bytes()))
    assert place.run(f"good={good}") == score.DONE
    assert len(counted) == 4 * 4
    counted.clear()
    assert place.run(f"other={good}", f"bad={bad}") == score.DONE
    assert {short for short, _ in counted} == {Weights("bad", bad).short}
    counted.clear()
    # Another photo of that name is measured, and no other.
    Image.new("RGB", (LARGE, LARGE), "red").save(place.root / "data/96/large_1.jpg")
    assert place.run(f"good={good}") == score.DONE
    assert [side for _, side in counted] == [LARGE] * 4
    counted.clear()
    (kept,) = (place.root / "work/values").glob(f"{Weights('x', good).short}-*.json")
    content = json.loads(kept.read_text())
    for entry in content["photos"].values():
        if entry["file"] == "small_1.jpg":
            entry["values"] = [[0.5]]
    kept.write_text(json.dumps(content))
    assert place.run(f"good={good}") == score.DONE
    assert [side for _, side in counted] == [SMALL] * 4


def test_a_run_that_was_stopped_goes_on(
    place: Place, new: Path, counted: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: object, done: int, total: int, line: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "__call__", stop)
        assert place.run(new / "light.onnx") == score.STOPPED
    assert len(counted) == 3 * 4
    assert place.run(new / "light.onnx") == score.DONE
    assert len(counted) == 4 * 4


def test_the_command_tells_a_better_network_from_a_worse_one(
    place: Place, new: Path, ruined: Callable[[bytes], bytes], capsys: Any
) -> None:
    bad, sheet = place.root / "bad.onnx", place.root / "to/sheet.png"
    bad.write_bytes(ruined((new / "light.onnx").read_bytes()))
    assert place.run(f"run={new / 'run'}", bad, "--sheet", sheet) == score.DONE
    told = capsys.readouterr()
    table = [[cell.strip() for cell in line.split("|")] for line in told.out.splitlines()[:4]]
    heads = table[0]
    run, worse = (dict(zip(heads, row, strict=True)) for row in table[2:])
    assert (run["network"], worse["network"]) == ("run", "bad")
    titles = [f"{kind}, {n}" for n in ("64 (3)", "96 (1)") for kind in ("free-form", "centre")]
    assert [head for head in heads if head in titles] == titles
    mean = np.mean([float(worse[title]) for title in titles])
    assert float(worse["score"]) == pytest.approx(mean, abs=1e-4)
    less = float(worse["score"]) - float(run["score"])
    assert less > 0
    # Both scores are rounded to four digits, and so is their difference.
    told_less = float(worse["less run's, 95 % interval"].split()[0])
    assert told_less == pytest.approx(less, abs=1.5e-4 + 1e-9)
    assert 0 < float(run["GMAC, 256"]) < float(run["GMAC, 512"])
    assert (worse["parameters"], worse["GMAC, 256"]) == ("-", "-")  # bad.onnx has no card
    assert run["time over run's"] == "1.00"
    assert (place.root / "work/score.md").read_text() == told.out
    rows = list(csv.DictReader((place.root / "work/score.csv").read_text().splitlines()))
    assert len(rows) == 2 * 4 * 4
    centre = [row for row in rows if row["network"] == "bad" and row["hole"] == "centre"]
    small = [float(row["lpips"]) for row in centre if row["side"] == "64"]
    assert np.mean(small) == pytest.approx(float(worse["centre, 64 (3)"]), abs=1e-4)
    with Image.open(sheet) as image:
        # Two rows of two photos, each as hole, two fills, truth.
        assert image.width > 2 * 4 * SMALL
        assert image.height > SMALL + LARGE


def test_networks_that_are_none_are_refused_before_the_work(
    place: Place, new: Path, counted: list[tuple[str, int]], capsys: Any
) -> None:
    onnx = new / "light.onnx"
    for args, line in (
        (["light", "gone=nowhere/run"], "gone: there is no nowhere/run"),
        (["a=light", f"a={onnx}"], "2 networks are named a"),
        (["a b=light"], "network name 'a b'"),
        (["light", "x=nowhere.onnx"], "does not exist"),
    ):
        assert place.run(*args) == score.REFUSED
        assert line in capsys.readouterr().err
    assert not counted
    with pytest.raises(ConfigError, match="light"):
        networks.find(["lite"], place.root, print)
    # A file without a card is a network too.
    shutil.copy(onnx, place.root / "bare.onnx")
    (bare,) = networks.find([str(place.root / "bare.onnx")], place.root, print)
    assert (bare.name, bare.fact("parameters")) == ("bare", None)


def test_a_sheet_shows_the_same_photos_with_large_holes() -> None:
    black = _photos(64, 32)
    found = sheets.chosen(black)
    assert [index for index, _ in found] == list(range(0, 96, 4))
    assert [mask == 3 for _, mask in found] == [False, True] * 12
    for index, mask in found[::2]:
        shares = [hole.mean() for hole in black[index].holes[:3]]
        assert shares[mask] == max(shares)
