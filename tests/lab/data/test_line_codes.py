"""The lines of whole photos: as `edges` finds them, kept for the photos that they are of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import label

from freefill.lab.data import line_codes
from freefill.lab.data.line_codes import NAMES, encode, open_codes
from freefill.lab.data.photos import PhotoStore, open_store
from freefill.vision.edges import edges

SIZE = 96


@pytest.fixture
def store(examples: Path, tmp_path: Path) -> PhotoStore:
    return open_store(examples, SIZE, tmp_path)


def scene(seed: int) -> NDArray[np.uint8]:
    """Discs of random colours: all of one size, each with other lines."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :80]
    photo = np.full((64, 80, 3), 128, np.uint8)
    for _ in range(3):
        inside = np.hypot(y - rng.uniform(10, 54), x - rng.uniform(10, 70)) < rng.uniform(8, 16)
        photo[inside] = rng.integers(0, 256, 3)
    return photo


@pytest.fixture
def alike(tmp_path: Path) -> PhotoStore:
    photos = [scene(seed) for seed in range(4)]
    file = tmp_path / "alike.u8"
    pixels = np.concatenate([photo.ravel() for photo in photos])
    pixels.tofile(file)
    shapes = np.array([photo.shape[:2] for photo in photos], np.int64)
    return PhotoStore(tuple("abcd"), shapes, np.memmap(file, np.uint8, "r"), file)


def left(folder: Path) -> list[Path]:
    return list(folder.glob("*.partial"))


def test_a_code_tells_the_detail_and_which_lines_are_connected(store: PhotoStore) -> None:
    photo = store.views()[store.names.index("street.jpg")]
    rgb = photo.astype(np.float32) / np.float32(255)
    few, some, many = (edges(rgb, detail) for detail in (0.6, 1.0, 1.5))
    code = encode(photo)
    level, name = code // NAMES, code % NAMES
    assert (few.any(), code.dtype, code.shape) == (True, np.uint8, photo.shape[:2])
    np.testing.assert_array_equal(level == 3, few)
    np.testing.assert_array_equal(level == 2, some & ~few)
    np.testing.assert_array_equal(level == 1, many & ~some & ~few)
    assert not name[level == 0].any()
    parts, count = label(level > 0, np.ones((3, 3)))
    for part in range(1, count + 1):
        assert len(np.unique(name[parts == part])) == 1
    # Told apart, nearly as well as 64 numbers can.
    assert len(np.unique(name[level > 0])) > min(NAMES, count) / 2


def test_they_are_found_once_for_the_photos_asked_for(
    store: PhotoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    used = [5, 0, 2]
    views = store.views()
    expected = np.concatenate([encode(views[i]).ravel() for i in used])
    found = open_codes(store, used, lambda *done: calls.append(done))
    np.testing.assert_array_equal(found, expected)
    assert calls == [(3, 3)]
    monkeypatch.setattr(line_codes, "encode", None)
    np.testing.assert_array_equal(open_codes(store, used), expected)
    assert not left(tmp_path)


def test_processes_find_what_this_one_finds(store: PhotoStore) -> None:
    used = list(range(len(store)))
    assert len(used) > 8, "otherwise no process is started"
    expected = np.concatenate([encode(view).ravel() for view in store.views()])
    np.testing.assert_array_equal(open_codes(store, used), expected)


def test_photos_of_the_same_sizes_have_lines_of_their_own(alike: PhotoStore) -> None:
    first, second = open_codes(alike, [0, 1]), open_codes(alike, [2, 3])
    assert first.shape == second.shape
    assert (first != second).any()
    np.testing.assert_array_equal(second[: 64 * 80], encode(scene(2)).ravel())


def test_a_file_that_is_not_whole_is_made_again(alike: PhotoStore, tmp_path: Path) -> None:
    expected = open_codes(alike, [0, 1]).copy()
    (file,) = tmp_path.glob("*.lines")
    file.write_bytes(file.read_bytes()[:-100])
    np.testing.assert_array_equal(open_codes(alike, [0, 1]), expected)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_who_stops_it_leaves_no_file(
    alike: PhotoStore, tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(done: int, total: int) -> None:
        raise error

    with pytest.raises(error):
        open_codes(alike, [0, 1], stop)
    assert not left(tmp_path)
    assert not list(tmp_path.glob("*.lines"))


def test_two_processes_at_once_end_with_the_same_lines(alike: PhotoStore, tmp_path: Path) -> None:
    code = f"""
import numpy as np
from pathlib import Path
from freefill.lab.data.line_codes import open_codes
from freefill.lab.data.photos import PhotoStore
file = Path({str(alike.file)!r})
shapes = np.array({alike.shapes.tolist()})
store = PhotoStore(tuple("abcd"), shapes, np.memmap(file, np.uint8, "r"), file)
print(int(open_codes(store, [0, 1, 2]).astype(np.int64).sum()))
"""
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [process.communicate(timeout=60)[0] for process in both]
    expected = sum(int(encode(scene(seed)).astype(np.int64).sum()) for seed in range(3))
    assert [int(found) for found in sums] == [expected, expected]
    assert not left(tmp_path)
