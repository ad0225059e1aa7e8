"""Pickles from anywhere: read as data, or refused with the reason and in little memory."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from freefill.errors import WeightsError
from freefill.lab.export import pickles
from freefill.lab.export.foreign import read


class Bomb:
    """What runs a command when it is unpickled."""

    def __init__(self, marker: Path, function: Any = os.system) -> None:
        self.call = (function, (f"touch {marker}",))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("function", [os.system, eval, subprocess.getoutput])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_bomb_is_refused_and_does_not_go_off(
    tmp_path: Path, new: bool, function: Any, protocol: int
) -> None:
    marker = tmp_path / "ran"
    state = {"G": {"conv1.conv.bias": torch.zeros(48)}, "extra": Bomb(marker, function)}
    path = tmp_path / "w.pth"
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsError, match=r"w\.pth cannot be read.*othing in it was run"):
        read(path)
    assert not marker.exists()


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"G": Bomb(marker)}))
    with pytest.raises(WeightsError, match="othing in it was run"):
        read(tmp_path / "w.pth")
    assert not marker.exists()


class Wide:
    """What asks for memory when it is unpickled, with a function that torch allows."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (2**40,)


def rezipped(
    source: Path, change: Callable[[zipfile.ZipFile, str, bytes], None], **kind: Any
) -> None:
    """Write a zip again, each entry as ``change`` writes it."""
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(source, "w", **kind) as archive:
        for name, content in entries.items():
            change(archive, name, content)


def small(folder: Path) -> Path:
    torch.save({"G": {"conv1.conv.weight": torch.zeros(48, 5, 5, 5)}}, folder / "w.pth")
    return folder / "w.pth"


def with_code(path: Path) -> None:
    def write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, content)
        if name.endswith("data.pkl"):
            archive.writestr(name.replace("data.pkl", "code/__torch__.py"), "import os")

    rezipped(path, write)


def deflated(path: Path) -> None:
    rezipped(path, lambda a, n, c: a.writestr(n, c), compression=zipfile.ZIP_DEFLATED)


def bomb_of_zeros(path: Path) -> None:
    def write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, bytes(2**26) if name.endswith("/0") else content)

    rezipped(path, write, compression=zipfile.ZIP_DEFLATED)


def two_programs(path: Path) -> None:
    def write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, content)
        if name.endswith("data.pkl"):
            archive.writestr(name.replace("data.pkl", "DATA.PKL"), content)

    rezipped(path, write)


def no_program(path: Path) -> None:
    rezipped(path, lambda a, n, c: None if n.endswith("pkl") else a.writestr(n, c))


def large_program(path: Path) -> None:
    more = b"0" * (pickles.PROGRAM_LIMIT + 1)
    rezipped(path, lambda a, n, c: a.writestr(n, c + more if n.endswith("pkl") else c))


def shared_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # The entry of the largest tensor in the list at the end: it is said to be ten times as long.
    start = 0
    while (start := content.find(b"PK\1\2", start)) >= 0:
        sizes = content[start + 20 : start + 28]
        if struct.unpack("<II", sizes)[1] == 48 * 125 * 4:
            content[start + 20 : start + 28] = struct.pack("<II", 480 * 500, 480 * 500)
        start += 4
    path.write_bytes(content)


def two_ends(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 5)


def moved_end(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-34:-26] = (0).to_bytes(8, "little")
    path.write_bytes(content)


def long_list(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10:-6] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)


def memory(path: Path) -> None:
    torch.save({"G": Wide()}, path)


def old_memory(path: Path) -> None:
    torch.save({"G": Wide()}, path, _use_new_zipfile_serialization=False)


def old_and_larger_than_it_is(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    # 1000 as a short, the number of elements, made 2 ** 31 - 1.
    path.write_bytes(content.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f"))


def script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))


def flipped_number(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_protocol(path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, path, pickle_protocol=4)


def text(path: Path) -> None:
    path.write_text("<html>quota exceeded</html>")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def number(path: Path) -> None:
    torch.save(7, path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (with_code, "TorchScript"),
        (script, "TorchScript"),
        (deflated, "compressed or encrypted"),
        (bomb_of_zeros, "compressed or encrypted"),
        (two_programs, "same name"),
        (no_program, "0 data.pkl"),
        (large_program, "its data.pkl has"),
        (shared_bytes, "some share their bytes"),
        (two_ends, "cut off"),
        (moved_end, "the end of the zip is damaged"),
        (long_list, "list of entries has 2,147,483,648 bytes"),
        (memory, "bytearray"),
        (old_memory, "bytearray"),
        (old_and_larger_than_it_is, "asks for 2,147,483,647 numbers"),
        (flipped_number, "/data/0 in it is damaged"),
        (other_protocol, "saved with pickle protocol 4"),
        (text, "cannot be read"),
        (empty, "cannot be read"),
        (number, "holds a int"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damaged_and_hostile_pickles(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    path = small(tmp_path)
    damage(path)
    tracemalloc.start()
    with pytest.raises(WeightsError, match=words) as raised:
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()
    assert "w.pth" in str(raised.value)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
@pytest.mark.filterwarnings("error")
def test_pickles_with_any_bytes_changed(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "w.pth"
    state = {"a": torch.zeros(50), "b": torch.nn.Parameter(torch.ones(3))}
    torch.save({"G": state, "n": 5}, path, _use_new_zipfile_serialization=new)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            pickles.load_pickle(path)
        except WeightsError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
def test_cut_off_pickles(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save({"conv1.conv.bias": torch.zeros(48)}, path, _use_new_zipfile_serialization=new)
    content = path.read_bytes()
    for length in range(0, len(content), 13):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"w\.pth cannot be read"):
            read(path)
