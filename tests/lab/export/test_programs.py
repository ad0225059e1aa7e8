"""Pickles are looked through: what no dict of tensors needs is refused before it costs anything."""

from __future__ import annotations

import pickle
import struct
import time
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

from freefill.errors import WeightsError
from freefill.lab.export.foreign import read
from freefill.lab.export.pickles import load_pickle
from freefill.lab.export.programs import check_program


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def zipped(folder: Path, content: bytes) -> Path:
    """Make a file as torch does, with another program in it."""
    path = folder / "w.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in entries.items():
            archive.writestr(name, content if name.endswith("data.pkl") else old)
    return path


NESTED = b")q\0" + b"".join(b"h" + bytes([n, 104, n, 134, 113, n + 1]) for n in range(60))
"""A tuple of the tuple before it, twice: two to the power of 60 parts."""
ORDERED = b"ccollections\nOrderedDict\n)R"
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n("
TRICKS = {
    "key of tuples": (b"}" + NESTED + b"K\1s", "a tuple of 1,|a key of a dict"),
    "key that is a small tuple": (b"}K\1K\2\x86K\1s", "a key of a dict in it is a tuple"),
    "key of nothing": (b"}NK\1s", "a key of a dict in it is a plain"),
    "tuples as a value": (b"}" + text("a") + NESTED + b"s", "a tuple of 1,"),
    "methods replaced": (
        ORDERED + b"}" + text("keys") + b"K\1sb",
        "it changes a dict",
    ),
    "a class that allocates": (
        b"ctorch.storage\nUntypedStorage\n\x8a\5\0\0\0\0\x1c\x85R",
        "asks for 'torch.storage UntypedStorage'",
    ),
    "another one": (
        b"ctorch.storage\nTypedStorage\n\x8a\5\0\0\0\0\x1c\x85R",
        "asks for 'torch.storage TypedStorage'",
    ),
    "a storage that is called": (
        b"ctorch\nFloatStorage\nJ\0\0\0\x10\x85R",
        "calls 'torch FloatStorage'",
    ),
    "a dict that is called": (
        b"ccollections\nOrderedDict\n]\x85R",
        "calls 'collections OrderedDict' with 1",
    ),
    "numbers that are not there": (
        STORAGE + b"J\xff\xff\xff\x7ftQ",
        "asks for 2,147,483,647 numbers",
    ),
    "many times what is there": (
        STORAGE + b"M\xe8\3tQ" + STORAGE.replace(b"0", b"1") + b"M\xe8\3tQ",
        "asks for 8,000 bytes of numbers",
    ),
    "a shape that is not there": (
        TENSOR + STORAGE + b"K\3tQK\0J\xff\xff\xff\x7f\x85K\1\x85\x89" + ORDERED + b"tR",
        "asks for 2,147,483,647 numbers",
    ),
    "no storage": (TENSOR + b"K\1K\0K\1\x85K\1\x85\x89" + ORDERED + b"tR", "_rebuild_tensor_v2"),
    "another reference": (text("a") + b"Q", "refers to something"),
    "an operation": (b"}0N", "its pickle has POP"),
    "an empty stack": (b"s", "is damaged"),
    "an empty memo": (b"h\7", "is damaged"),
    "no mark": (b"}t", "is damaged"),
    "items of a list": (b"]" + text("a") + b"Ns", "adds items to a list"),
    "appended to a dict": (b"}Na", "appends to a dict"),
}


@pytest.mark.parametrize("kind", TRICKS)
def test_tricks_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    body, words = TRICKS[kind]
    path = zipped(tmp_path, program(body))
    # 1,000 numbers fit, 2,000 do not.
    assert 4000 < path.stat().st_size < 8000
    start = time.perf_counter()
    with pytest.raises(WeightsError, match=words) as refused:
        read(path)
    assert time.perf_counter() - start < 2
    assert str(refused.value).startswith(f"{path} cannot be read: ")
    assert len(str(refused.value)) < 500


def kept(value: Any, new: bool) -> bytes:
    buffer = BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
def test_what_trainings_save_is_read(tmp_path: Path, new: bool) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    state = network.state_dict()
    value = {
        "ema": OrderedDict(state),
        "network": state,
        "parameters": dict(network.named_parameters()),
        "optimizer": optimizer.state_dict(),
        "views": torch.arange(12.0).reshape(3, 4)[:, 1:].t(),
        "kinds": [torch.zeros(2, dtype=kind) for kind in (torch.bfloat16, torch.bool, torch.uint8)],
        "dtype": torch.float32,
        "shape": torch.Size([2, 3]),
        # Larger than the file, and no size of anything.
        "seed": 3_000_000_000_000,
        "config": {"lr": 1e-4, "betas": (0.5, 0.9), "name": "é", "on": True, "off": None},
    }
    path = tmp_path / "w.pth"
    path.write_bytes(kept(value, new))
    found = load_pickle(path)
    assert found["seed"] == value["seed"]
    assert found["config"] == value["config"]
    assert found["shape"] == value["shape"]
    assert torch.equal(found["views"], value["views"])  # type: ignore[arg-type]
    for name, tensor in state.items():
        assert torch.equal(found["network"][name], tensor)
    assert found["network"]._metadata == state._metadata  # type: ignore[attr-defined]


def test_a_program_is_left_at_its_end() -> None:
    program = BytesIO(pickle.dumps({"a": 1}, 2) + b"rest")
    check_program(program, 100)
    assert program.read() == b"rest"


def test_a_key_that_is_no_text_is_not_printed(tmp_path: Path) -> None:
    torch.save({7: torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="one of its keys is a int"):
        read(tmp_path / "w.pth")
