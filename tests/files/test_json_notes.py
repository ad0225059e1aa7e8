"""What a run has noted for itself, and a disk has damaged, is noted again or said in a line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from freefill.errors import ConfigError, FreefillError
from freefill.files.json_files import parse_json, parse_value, read_json, read_value
from freefill.imaging.box import Box
from freefill.lab.data.photos import open_store
from freefill.lab.evaluation import ablation
from freefill.tasks import _video
from freefill.video.patches import Folder
from freefill.video.shots import Shot, Survey

CONTENTS = {
    "empty": b"",
    "cut": b"[[64, 64",
    "not utf-8": b"\xff\xfe",
    "deep": b"[" * 200_000,
    "deep and whole": b"[" * 100 + b"]" * 100,
    "nan": b"[[NaN, 64]]",
    "infinite": b"[[64, 1e999]]",
    "half a character": b'["\\ud800"]',
    "another kind": b'{"a": 1}',
    "a number": b"7",
    "too large": b"[[64, 1e300]]",
}
KINDS = [*CONTENTS, "pipe", "device", "folder"]


def damage(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(CONTENTS[kind])


class Seen:
    """A clip of three frames."""

    guess = 3
    frames = coding = staticmethod(lambda: None)


@pytest.mark.parametrize("kind", KINDS)
def test_notes_of_a_clip_are_made_again(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, survey = Box(left=1, top=2, right=3, bottom=4), Survey((Shot(0, 3, False),), 0.5)
    monkeypatch.setattr(_video, "track", lambda *_: [box, None, box])
    monkeypatch.setattr(_video, "survey", lambda *_: (survey, ["a line"]))
    folder = Folder(tmp_path / "partial", {"a": 1})

    def noted() -> tuple[object, object]:
        args = folder, Seen()
        return (
            _video._boxes(*args, box, lambda *_: None),  # type: ignore[arg-type]
            _video._survey(*args, None, lambda *_: None),  # type: ignore[arg-type]
        )

    expected = [box, None, box], (survey, ["a line"])
    assert noted() == noted() == expected
    for name in ("boxes", "survey"):
        damage(tmp_path / f"partial/{name}.json", kind)
    if kind == "folder":
        assert folder.read("boxes") is folder.read("survey") is None
        return  # no note can be written there, which is an error of its own
    assert noted() == expected
    assert folder.read("boxes") == [[1, 2, 3, 4], None, [1, 2, 3, 4]]
    monkeypatch.setattr(_video, "track", None)
    monkeypatch.setattr(_video, "survey", None)
    assert noted() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_a_clip_that_cannot_be_known_is_left_alone(kind: str, tmp_path: Path) -> None:
    Folder(tmp_path / "partial", {"a": 1})
    damage(tmp_path / "partial/run.json", kind)
    with pytest.raises(FreefillError, match=r"holds (something else|a run with another a)"):
        Folder(tmp_path / "partial", {"a": 2})


@pytest.mark.parametrize("kind", [*KINDS, "sizes of another file", "no sizes"])
def test_sizes_of_decoded_photos_are_found_again(kind: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pixels = np.random.default_rng(2).integers(0, 256, (64, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "data/a.png")
    calls: list[int] = []

    def opened() -> None:
        store = open_store(
            tmp_path / "data", 0, tmp_path / "cache", lambda done, total: calls.append(done)
        )
        np.testing.assert_array_equal(store.views()[0], pixels)

    opened()
    first = len(calls)
    (index,) = (tmp_path / "cache").glob("*.json")
    if kind in CONTENTS or kind in ("pipe", "device"):
        damage(index, kind)
    elif kind == "folder":
        return  # nothing takes a folder's place
    else:
        index.write_text({"sizes of another file": "[[64, 81]]", "no sizes": "[[]]"}[kind])
    opened()
    assert len(calls) > first
    again = len(calls)
    opened()
    assert len(calls) == again


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_of_an_ablation_that_is_none_is_one_line(kind: str, tmp_path: Path) -> None:
    damage(tmp_path / "plan.json", kind)
    with pytest.raises(ConfigError, match=r"plan\.json") as raised:
        ablation._planned(tmp_path / "plan.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("read", [read_json, read_value])
def test_a_missing_file_is_the_callers(read: Callable[..., object], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.json", FreefillError)


def test_values_of_any_kind_and_nan_where_it_is_meant() -> None:
    values: list[Any] = [[], {}, [[1, None]], "text", 1.5, None, True]
    for value in values:
        assert parse_value(json.dumps(value), "a", FreefillError) == value
    found = parse_json('{"a": NaN}', "a", FreefillError, nan=True)
    assert np.isnan(found["a"])
    for bad in ('{"a": Infinity}', '{"a": -1e999}'):
        with pytest.raises(FreefillError, match=r"is (no number|beyond)"):
            parse_json(bad, "a", FreefillError, nan=True)
    with pytest.raises(FreefillError, match="a holds a list, not an object"):
        parse_json("[1]", "a", FreefillError)
