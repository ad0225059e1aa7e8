"""TensorFlow's checkpoints: read to the last bit, or refused with the reason, in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from bundles import block, entry, field, header, mask, slow_crc, table, varint, write_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from freefill.errors import WeightsError
from freefill.lab.export.tf_bundle.bundle import INDEX_LIMIT, MAX_RANK, TENSOR_LIMIT, Bundle, Entry
from freefill.lab.export.tf_bundle.sstable import (
    MAX_ENTRIES,
    MAX_KEY,
    MAX_VALUE,
    masked,
    read_table,
    read_varint,
)

PEAK = 8 * 2**20
"""Bytes that a refusal may cost at most."""


@pytest.fixture
def arrays() -> dict[str, NDArray]:
    rng = np.random.default_rng(0)
    found = {f"net/conv{i}/kernel": rng.normal(size=(3, 3, 2, 4)).astype("f4") for i in range(11)}
    found |= {f"net/conv{i}/bias": rng.normal(size=4).astype("f4") for i in range(11)}
    return found | {
        "global_step": np.array(7, "i8"),
        "counts": np.arange(-3, 3, dtype="i4"),
        "exact": rng.normal(size=(2, 5)),
        "half": rng.normal(size=(4, 1)).astype("f2"),
        "nothing": np.zeros((0, 3), "f4"),
    }


@pytest.fixture
def bundle(tmp_path: Path, arrays: dict[str, NDArray]) -> Path:
    return write_bundle(tmp_path / "snap-0", arrays)


def index_of(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + ".index")


def one(prefix: Path, described: bytes, data: bytes = b"\0" * 16, **kinds: int) -> Path:
    """Write a bundle of one variable ``v`` of four zeros, described as told."""
    index = table([(b"", header()), (b"v", described)], **kinds)
    index_of(prefix).write_bytes(index)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)
    return prefix


GOOD = (1, (4,), 0, 16, mask(slow_crc(b"\0" * 16)))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
    ids=lambda value: value.hex()[:18] if isinstance(value, bytes) else "",
)
def test_checksum_of_the_standard(message: bytes, expected: int) -> None:
    assert google_crc32c.value(message) == slow_crc(message) == expected
    assert masked(expected) == mask(expected)


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("per_block", [1, 4, 100])
def test_read_back_exactly(
    tmp_path: Path, arrays: dict[str, NDArray], shards: int, per_block: int
) -> None:
    prefix = write_bundle(tmp_path / "snap-0", arrays, shards=shards, per_block=per_block)
    bundle = Bundle.open(prefix)
    assert bundle.shards == shards
    assert set(bundle.entries) == set(arrays)
    for name, values in arrays.items():
        found = bundle.read(name)
        assert found.dtype == values.dtype
        assert found.shape == bundle.entries[name].shape == values.shape
        assert found.tobytes() == values.tobytes()
        assert found.dtype.isnative


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 0.0, 3e38], "f4")
    data = (values.view("u4") >> 16).astype("<u2").tobytes()
    prefix = one(tmp_path / "s", entry(14, (4,), 0, 8, mask(slow_crc(data))), data)
    found = Bundle.open(prefix).read("v")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values, rtol=1e-2)


def test_every_way_to_name_it(bundle: Path, tmp_path: Path) -> None:
    data = bundle.with_name("snap-0.data-00000-of-00001")
    for path in (bundle, index_of(bundle), data, tmp_path, bundle.with_name("snap-0.meta")):
        assert Bundle.open(path).prefix == bundle
    write_bundle(tmp_path / "snap-1", {"a": np.zeros(1, "f4")})
    with pytest.raises(WeightsError, match=r"2 \.index files \(snap-0\.index, snap-1\.index\)"):
        Bundle.open(tmp_path)
    listed = tmp_path / "checkpoint"
    listed.write_text(
        'model_checkpoint_path: "snap-1"\nall_model_checkpoint_paths: "snap-0"\n'
        'all_model_checkpoint_paths: "snap-1"\n'
    )
    assert Bundle.open(tmp_path).prefix.name == "snap-1"
    assert Bundle.open(listed).prefix.name == "snap-1"
    listed = listed.rename(tmp_path / "checkpoint.txt")
    assert Bundle.open(tmp_path).prefix.name == "snap-1"
    listed.write_text(f'model_checkpoint_path: "{bundle}"')
    assert Bundle.open(tmp_path).prefix == bundle
    for elsewhere in ("/home/someone/logs/snap-0", r"C:\logs\snap-0"):
        listed.write_text(f'model_checkpoint_path: "{elsewhere}"')
        assert Bundle.open(tmp_path).prefix == bundle


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('model_checkpoint_path: "snap-9"', "snap-9.index does not exist"),
        ('model_checkpoint_path: "/"', "names no TensorFlow checkpoint"),
        ('all_model_checkpoint_paths: "snap-0"', "names no checkpoint"),
        ("\0\xff", "names no checkpoint"),
    ],
    ids=["missing", "root", "other lines", "no text"],
)
def test_checkpoint_file_that_names_none(bundle: Path, text: str, word: str) -> None:
    bundle.with_name("checkpoint").write_text(text)
    with pytest.raises(WeightsError, match=word):
        Bundle.open(bundle.parent)


def test_nothing_there(tmp_path: Path) -> None:
    for path, word in (
        (tmp_path, "has 0 .index files"),
        (tmp_path / "snap-0", "snap-0.index does not exist"),
        (tmp_path / "checkpoint", "checkpoint.index does not exist"),
    ):
        with pytest.raises(WeightsError, match=word):
            Bundle.open(path)


def test_every_truncation_of_the_index_is_refused(bundle: Path) -> None:
    index = index_of(bundle)
    content = index.read_bytes()
    for length in range(len(content)):
        index.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"snap-0\.index cannot be read: "):
            Bundle.open(bundle)


@pytest.mark.parametrize("how", [0xFF, 0x01, 0x80])
def test_every_flipped_byte_of_the_index_is_refused(bundle: Path, how: int) -> None:
    content = index_of(bundle).read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= how
        with pytest.raises(WeightsError):
            read_table(bytes(damaged))


def within(entry: Entry) -> range:
    return range(entry.offset, entry.offset + entry.size)


def test_every_flipped_byte_of_the_data_is_noticed(
    tmp_path: Path, arrays: dict[str, NDArray]
) -> None:
    few = {name: arrays[name] for name in ("net/conv1/bias", "counts", "exact")}
    prefix = write_bundle(tmp_path / "s", few)
    data = prefix.with_name("s.data-00000-of-00001")
    content = data.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        data.write_bytes(damaged)
        bundle = Bundle.open(prefix)
        refused = []
        for name, values in few.items():
            if place in within(bundle.entries[name]):
                with pytest.raises(WeightsError, match="one of the two files is damaged"):
                    bundle.read(name)
                refused.append(name)
            else:
                assert bundle.read(name).tobytes() == values.tobytes()
        assert len(refused) == 1


def test_truncated_and_missing_data(bundle: Path, arrays: dict[str, NDArray]) -> None:
    data = bundle.with_name("snap-0.data-00000-of-00001")
    content = data.read_bytes()
    data.write_bytes(content[:-1])
    opened = Bundle.open(bundle)
    last = max(opened.entries, key=lambda name: opened.entries[name].offset)
    with pytest.raises(WeightsError, match=rf"{last} .*which has .*the file is cut off"):
        opened.read(last)
    data.unlink()
    with pytest.raises(WeightsError, match=r"data-00000-of-00001 is missing"):
        opened.read(last)
    with pytest.raises(WeightsError, match="has no variable 'net/none'"):
        opened.read("net/none")


def test_missing_shard_costs_only_what_is_in_it(tmp_path: Path, arrays: dict[str, NDArray]) -> None:
    prefix = write_bundle(tmp_path / "s", arrays, shards=2)
    prefix.with_name("s.data-00001-of-00002").unlink()
    bundle = Bundle.open(prefix)
    for name, values in arrays.items():
        if bundle.entries[name].shard == 0:
            assert bundle.read(name).tobytes() == values.tobytes()
        else:
            with pytest.raises(WeightsError, match=r"s\.data-00001-of-00002 is missing"):
                bundle.read(name)


HUGE = 10**12
ENTRIES = {
    "type": (entry(7, (4,), 0, 16, 0), "type is number 7"),
    "no type": (b"", "type is number 0"),
    "size": (entry(1, (4,), 0, 12, 0), "4 of float32 is 16 bytes, the index says 12"),
    "huge size": (entry(1, (4,), 0, HUGE, 0), "the index says 1,000,000,000,000"),
    "huge shape": (entry(1, (2**31 - 1,) * 8, 0, 16, 0), "the index says 16"),
    "overflowing shape": (entry(1, (2**30, 2**30, 16), 0, 0, 0), "the index says 0"),
    "both huge": (entry(1, (HUGE // 2**12 // 4, 2**12), 0, HUGE // 2**14 * 2**14, 0), "has .* byt"),
    "beyond": (entry(1, (4,), 1, 16, 0), "ends at byte 17 of .*which has 16"),
    "far beyond": (entry(1, (4,), 2**61, 16, 0), "the file is cut off"),
    "negative offset": (entry(1, (4,), -16, 16, 0), "has the offset 18,446,744,073,709,551,600"),
    "negative size": (entry(1, (4,), 0, -16, 0), "has the size 18,446"),
    "negative dimension": (entry(1, (-4,), 0, 16, 0), "has a dimension of 18446"),
    "dimensions": (entry(1, (1,) * 9, 0, 4, 0), f"more than {MAX_RANK} dimensions"),
    "many dimensions": (entry(1, (1,) * 900, 0, 4, 0), f"more than {MAX_RANK} dimensions"),
    "shard": (entry(1, (4,), 0, 16, 0, shard=1), "in shard 1, and there are 1"),
    "negative shard": (entry(1, (4,), 0, 16, 0, shard=-1), "in shard 18446"),
    "slices": (entry(*GOOD, slices=True), "stored in slices"),
    "checksum": (entry(1, (4,), 0, 16, 1), "the index says 0x00000001"),
    "wrong kind of field": (field(1, b"x"), "the entry of v is damaged in field 1"),
    "unknown wire type": (b"\x0b", "breaks off"),
    "cut off": (entry(*GOOD)[:-2], "breaks off"),
    "endless number": (b"\x08" + b"\xff" * 12, "does not end within 64 bits"),
    "bad shape": (field(2, field(2, 5)), "has a dimension of"),
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_absurd_entries_are_refused_before_they_cost_anything(tmp_path: Path, kind: str) -> None:
    described, words = ENTRIES[kind]
    prefix = one(tmp_path / "s", described)
    tracemalloc.start()
    with pytest.raises(WeightsError, match=words) as raised:
        Bundle.open(prefix).read("v")
    assert tracemalloc.get_traced_memory()[1] < PEAK
    tracemalloc.stop()
    assert len(str(raised.value)) < 1000


def test_an_absurd_neighbour_does_not_matter(tmp_path: Path) -> None:
    prefix = tmp_path / "s"
    bad = entry(1, (2**20, 2**20), 0, 2**42, 0)
    index = table([(b"", header()), (b"u", bad), (b"v", entry(*GOOD))])
    index_of(prefix).write_bytes(index)
    prefix.with_name("s.data-00000-of-00001").write_bytes(b"\0" * 16)
    bundle = Bundle.open(prefix)
    assert bundle.read("v").tolist() == [0] * 4
    # Even where the file is as long as the index says: 4 TB of nothing.
    os.truncate(prefix.with_name("s.data-00000-of-00001"), 2**42)
    with pytest.raises(WeightsError, match=f"more than {TENSOR_LIMIT:,}"):
        bundle.read("u")


def footer(meta: tuple[int, int], index: tuple[int, int]) -> bytes:
    handles = b"".join(varint(n) for n in (*meta, *index)).ljust(40, b"\0")
    return handles + (0xDB4775248B80FB57).to_bytes(8, "little")


def sealed(content: bytes, kind: int = 0) -> bytes:
    return content + bytes([kind]) + mask(slow_crc(content + bytes([kind]))).to_bytes(4, "little")


def around(data: bytes, handles: list[tuple[bytes, bytes]] | None = None) -> bytes:
    """Make a table around one data block that is given as bytes."""
    first, meta = sealed(data), sealed(block([]))
    index = sealed(block(handles or [(b"z", varint(0) + varint(len(data)))]))
    return (
        first
        + meta
        + index
        + footer((len(first), len(meta) - 5), (len(first) + len(meta), len(index) - 5))
    )


TABLES = {
    "magic": (table([(b"", header())], magic=False), "its last 8 bytes are 0x1234"),
    "snappy": (table([(b"", header())], kind=1), r"compressed \(snappy\)"),
    "other compression": (table([(b"", header())], kind=9), r"compressed \(method 9\)"),
    "big-endian": (table([(b"", header(endianness=1))]), "big-endian"),
    "no header": (table([(b"v", entry(*GOOD))]), "has no header"),
    "empty": (table([]), "has no header"),
    "no shards": (table([(b"", b"")]), "says 0 shards"),
    "shards": (table([(b"", header(10**9))]), "says 1000000000 shards"),
    "shards as text": (table([(b"", field(1, b"x"))]), "says no number of shards"),
    "no text": (table([(b"", header()), (b"\xff\xfe", b"")]), "is not text"),
    "long key": (table([(b"", header()), (b"k" * (MAX_KEY + 1), b"")]), "has 1,025 bytes"),
    "not in order": (table([(b"", header()), (b"b", b""), (b"a", b"")]), "are not in order"),
    "twice": (table([(b"", header()), (b"a", b""), (b"a", b"")]), "are not in order"),
    "huge handle": (footer((0, 1), (0, 2**60)), "its footer is damaged"),
    "overflowing handle": (footer((0, 1), (2**64 - 1, 2**64 - 1)), "its footer is damaged"),
    "endless handle": (b"\xff" * 40 + footer((0, 0), (0, 0))[40:], "does not end"),
    "restarts": (around(b"\xff\xff\xff\xff"), "4294967295 restarts"),
    "no restarts": (around(bytes(8)), "0 restarts"),
    "short": (around(b"\1"), "1 bytes"),
    "block beyond": (around(block([]), [(b"z", varint(0) + varint(2**50))]), "goes beyond"),
    "handle with more": (around(block([]), [(b"z", bytes(3))]), "has 3 bytes, not 2"),
    "no entries": (around(block([])), "is empty"),
    "shared": (around(b"\5\1\0x" + block([])), "shares 5 of 0 bytes"),
    "huge value": (around(b"\0\1" + varint(2**60) + b"x" + block([])), "goes on for 1,152"),
    "restart in a shared key": (
        around(b"\0\1\0a\1\1\0b" + (4).to_bytes(4, "little") + (1).to_bytes(4, "little")),
        "written in full",
    ),
    "same block again": (
        around(
            block([(b"", header())]),
            [(b"a", varint(0) + varint(len(block([(b"", header())])))) for _ in range(2)],
        ),
        "blocks are not in order: one begins at byte 0",
    ),
    "block within a block": (
        around(block([(b"", header())]), [(b"a", varint(3) + varint(4))]),
        "begins at byte 3, the one before ends at 0",
    ),
    "between blocks": (
        around(sealed(block([(b"", header())])) + b"more", [(b"a", varint(0) + varint(17))]),
        "blocks end at byte 22 and the metaindex block begins at 31",
    ),
    "long value": (table([(b"", header()), (b"v", bytes(MAX_VALUE + 1))]), "has 4,097 bytes"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_absurd_tables_are_refused(tmp_path: Path, kind: str) -> None:
    content, words = TABLES[kind]
    (tmp_path / "s.index").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(WeightsError, match=words):
        Bundle.open(tmp_path / "s")
    assert tracemalloc.get_traced_memory()[1] < PEAK
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("key", "count"),
    [(b"", MAX_ENTRIES + 2), (b"k" * 1000, MAX_ENTRIES + 2)],
    ids=["short", "long"],
)
def test_too_many_entries_are_refused_in_bounded_memory(key: bytes, count: int) -> None:
    # Shared beginnings make few bytes in the file of many in memory.
    entries, last = b"", b""
    for number in range(count):
        now = key + number.to_bytes(4, "big")
        pairs = enumerate(zip(now, last, strict=False))
        shared = next((i for i, (a, b) in pairs if a != b), len(last))
        rest = now[shared:]
        entries += varint(shared) + varint(len(rest)) + varint(0) + rest
        last = now
    content = around(entries + bytes(4) + (1).to_bytes(4, "little"))
    tracemalloc.start()
    with pytest.raises(WeightsError, match="more than 20,000 entries"):
        read_table(content)
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()


def test_entries_of_all_blocks_count(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freefill.lab.export.tf_bundle.sstable.MAX_ENTRIES", 9)
    with pytest.raises(WeightsError, match="it has more than 9 entries"):
        Bundle.open(bundle)


def test_ten_gigabytes_of_nothing_are_refused_at_once(tmp_path: Path) -> None:
    index = tmp_path / "s.index"
    index.touch()
    os.truncate(index, 10 * 2**30)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(WeightsError, match=f"has 10,737,418,240 bytes; .* {INDEX_LIMIT:,}"):
        Bundle.open(index)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WeightsError):
        read_table(noise)
    with pytest.raises(WeightsError):
        read_table(noise + footer((0, 1), (0, 1))[40:])


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_any_length(number: int) -> None:
    assert read_varint(b"." + varint(number) + b".", 1) == (number, 1 + len(varint(number)))


def test_reading_needs_no_torch(bundle: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from freefill.lab.export.tf_bundle.bundle import Bundle\n"
        f"assert Bundle.open(Path({str(bundle)!r})).read('global_step') == 7\n"
        "assert not {'torch', 'tensorflow', 'onnx', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


WRITER = """
import sys
import numpy as np
import tensorflow as tf

arrays = np.load(sys.argv[1])
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    variables = {
        name: tf.compat.v1.get_variable(name, initializer=arrays[name], use_resource=False)
        for name in arrays.files
    }
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.train.Saver(variables).save(session, sys.argv[2], global_step=0)
"""


@pytest.mark.slow
def test_a_checkpoint_that_tensorflow_wrote(tmp_path: Path, arrays: dict[str, NDArray]) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "tensorflow-cpu"]
    subprocess.run(install, check=True, timeout=1200)
    rng = np.random.default_rng(1)
    wide = {
        f"net/{i:03}/kernel": rng.normal(size=(5, 5, 3, i + 1)).astype("f4") for i in range(300)
    }
    arrays = arrays | wide | {"large": rng.normal(size=(3, 3, 192, 192)).astype("f4")}
    np.savez(tmp_path / "arrays.npz", **arrays)
    run = [python, "-c", WRITER, tmp_path / "arrays.npz", tmp_path / "snap"]
    subprocess.run(run, check=True, timeout=300)
    bundle = Bundle.open(tmp_path)
    assert bundle.prefix.name == "snap-0"
    assert set(bundle.entries) == set(arrays)
    for name, values in arrays.items():
        found = bundle.read(name)
        assert found.dtype == values.dtype
        assert found.tobytes() == values.tobytes()
