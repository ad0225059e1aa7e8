"""Training from shards: every photo once an epoch, from any place, from disk and over HTTP."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from freefill.errors import DataError
from freefill.lab.config import DataConfig
from freefill.lab.data.packing.run import Options, pack
from freefill.lab.data.shards import ShardFile, expand, is_photo, names_shards
from freefill.lab.data.sources import Shards, open_source

PHOTOS = 50


def silent(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack photos of one colour each: its red is its number."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "photos").mkdir()
    for number in range(PHOTOS):
        pixels = np.full((64, 72, 3), (5 * number, 100, 100), np.uint8)
        Image.fromarray(pixels).save(folder / f"photos/{number:02}.png")
    pack(folder / "photos", folder / "shards", Options(per_shard=8, distance=None), workers=1)
    return folder / "shards"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/shards"


class Site:
    """Serves a folder on loopback and notes what is asked for."""

    def __init__(self, folder: Path) -> None:
        asked = self.asked = []

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site(packed: Path) -> Iterator[Site]:
    made = Site(packed)
    yield made
    made.server.shutdown()


def number_of(pixels: np.ndarray) -> int:
    return round(float(pixels[..., 0].mean()) / 5)


def taken(source: Shards, numbers: range) -> list[int]:
    return [number_of(source.photo(number, 64)) for number in numbers]


def test_every_photo_comes_once_an_epoch_and_none_that_is_held_out(packed: Path) -> None:
    source = open_source(str(packed), DataConfig(holdout=5, window=2), 0, silent)
    assert isinstance(source, Shards)
    assert source.photos == source.epoch == PHOTOS - 5
    held = {number_of(pixels) for pixels in source.held}
    assert len(held) == 5
    epochs = [taken(source, range(e * source.epoch, (e + 1) * source.epoch)) for e in range(3)]
    for epoch in epochs:
        assert Counter(epoch) == Counter(set(range(PHOTOS)) - held)
    assert epochs[0] != epochs[1] != epochs[2]


def test_photos_of_several_shards_are_mixed(packed: Path) -> None:
    def shards_of(window: int) -> list[int]:
        source = open_source(str(packed), DataConfig(holdout=0, window=window), 0, silent)
        assert isinstance(source, Shards)
        return [int(source.plan(0, 0)[0][i]) for i in range(8)]

    assert len(set(shards_of(1))) == 1
    assert len(set(shards_of(4))) > 2


def test_a_run_can_start_anywhere(packed: Path) -> None:
    config = DataConfig(holdout=3, window=3)
    whole = taken(open_source(str(packed), config, 7, silent), range(120))
    for first in (0, 31, 46, 47, 93):
        late = open_source(str(packed), config, 7, silent)
        assert taken(late, range(first, first + 20)) == whole[first : first + 20]


def test_names_of_shards_stand_for_an_index(packed: Path, tmp_path: Path) -> None:
    config = DataConfig(holdout=3, window=3)
    whole = taken(open_source(str(packed), config, 7, silent), range(60))
    ranged = f"{packed}/shard-{{000000..000006}}.tar"
    assert taken(open_source(ranged, config, 7, silent), range(60)) == whole
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in packed.glob("*.tar"):
        (bare / path.name).write_bytes(path.read_bytes())
    assert taken(open_source(str(bare), config, 7, silent), range(60)) == whole


@pytest.mark.parametrize("named", ["", "/", "/index.json", "/shard-{000000..000006}.tar"])
def test_shards_over_http_are_those_on_disk(
    named: str, packed: Path, site: Site, cache: Path
) -> None:
    config = DataConfig(holdout=3, window=3)
    whole = taken(open_source(str(packed), config, 7, silent), range(60))
    source = open_source(site.address + named, config, 7, silent)
    assert taken(source, range(60)) == whole
    # Each is fetched once, and stays for the next run.
    tars = [path for path in site.asked if path.endswith(".tar")]
    assert Counter(tars) == Counter(set(tars))
    assert len(tars) == 7
    site.asked.clear()
    assert taken(open_source(site.address + named, config, 7, silent), range(60)) == whole
    assert not [path for path in site.asked if path.endswith(".tar")]
    assert len(list(cache.glob("*.tar"))) == 7
    assert not list(cache.glob("*.partial*"))


def test_the_cache_keeps_to_its_size(site: Site, packed: Path, cache: Path) -> None:
    size = max(path.stat().st_size for path in packed.glob("*.tar"))
    config = DataConfig(holdout=3, window=1, cache=3 * size / 1e9)
    source = open_source(site.address, config, 0, silent)
    seen = taken(source, range(source.epoch))
    assert len(set(seen)) == PHOTOS - 3
    assert 0 < sum(path.stat().st_size for path in cache.glob("*.tar")) <= 3 * size
    with pytest.raises(DataError, match=r"twice data\.window \(2\) shards have"):
        open_source(site.address, DataConfig(window=2, cache=3 * size / 1e9), 0, silent)


def test_photos_of_shards_are_not_chosen_by_size(packed: Path) -> None:
    with pytest.raises(DataError, match=r"data\.enlarge is false"):
        open_source(str(packed), DataConfig(holdout=3, enlarge=False), 0, silent)


def test_a_shard_that_is_another_file_is_refused(
    packed: Path, site: Site, cache: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    index = json.loads((packed / "index.json").read_text())
    for path in packed.glob("*.tar"):
        (other / path.name).write_bytes(path.read_bytes())
    index["shards"][0]["sha256"] = "0" * 64
    (other / "index.json").write_text(json.dumps(index))
    served = Site(other)
    with pytest.raises(DataError, match="its sha256 is another one"):
        open_source(served.address, DataConfig(), 0, silent)
    served.server.shutdown()
    assert not list(cache.glob("*.tar"))
    with pytest.raises(DataError, match="404"):
        open_source(site.address + "/none/index.json", DataConfig(), 0, silent)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def png(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), (red, 0, 0), np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def test_a_broken_photo_is_passed_over_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(6):
            add(tar, f"{number}.png", b"no photo" if number == 2 else png(5 * number))
            add(tar, f"{number}.mask.png", png(255))
            add(tar, f"{number}.json", b"{}")
    lines: list[str] = []
    source = open_source(str(path), DataConfig(holdout=0), 0, lines.append)
    seen = taken(source, range(6))
    assert set(seen) == {0, 1, 3, 4, 5}
    # Once where it would be looked at, once where it would be trained on.
    assert len(lines) == 2
    assert all("2.png" in line and "passed over" in line for line in lines)
    # Of several processes each names its own, though the first alone tells of progress.
    warned: list[str] = []
    taken(open_source(str(path), DataConfig(holdout=0), 0, silent, warned.append), range(6))
    assert len(warned) == 2


def test_photos_that_all_are_broken_end_a_run(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "0.png", png(0))
        for number in range(1, 40):
            add(tar, f"{number}.png", b"no photo")
    source = open_source(str(path), DataConfig(holdout=0, size=64), 0, silent)
    # The only photo that can be read, number 0, comes once in 40.
    first = next(n for n in range(40) if source._place(n)[1] == 0)
    assert source.photo(first, 64).shape == (64, 64, 3)
    with pytest.raises(DataError, match="16 photos in a row cannot be read"):
        source.photo(first + 1 if first < 24 else 0, 64)


def test_what_cannot_be_used_is_refused(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("no tar at all, but long enough to be read as one" * 20)
    with pytest.raises(DataError, match="cannot be read as a plain tar"):
        ShardFile(tmp_path / "text.tar")
    with tarfile.open(tmp_path / "z.tar", "w:gz") as tar:
        add(tar, "0.png", png(0))
    with pytest.raises(DataError, match="cannot be read as a plain tar"):
        open_source(str(tmp_path / "z.tar"), DataConfig(), 0, silent)
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        add(tar, "0.txt", b"")
    with pytest.raises(DataError, match="holds no photos"):
        open_source(str(tmp_path / "empty.tar"), DataConfig(), 0, silent)
    with pytest.raises(DataError, match=r"shard-000007.tar does not exist \(1 of 8"):
        open_source(f"{packed}/shard-{{000000..000007}}.tar", DataConfig(), 0, silent)
    with pytest.raises(DataError, match="names no shards: a range goes from the smaller"):
        open_source(f"{packed}/shard-{{000003..000000}}.tar", DataConfig(), 0, silent)
    with pytest.raises(DataError, match=r"data\.weights .*go by file names"):
        open_source(str(packed), DataConfig(weights={"a*": 2.0}), 0, silent)
    index = json.loads((packed / "index.json").read_text())
    for wrong in (
        "{",
        "[]",
        json.dumps(index | {"format": 9}),
        json.dumps(index | {"shards": []}),
        '{"format":' * 5000,
        json.dumps(index | {"shards": [{"name": "a", "photos": float("inf"), "bytes": 1}]}),
        json.dumps(index | {"shards": [{"name": "a", "photos": 1, "bytes": 1}]}).replace(
            "1}", "1e999}"
        ),
    ):
        folder = tmp_path / "wrong"
        folder.mkdir(exist_ok=True)
        (folder / "index.json").write_text(wrong)
        with pytest.raises(DataError, match=r"index|format 9|names no photos"):
            open_source(str(folder), DataConfig(), 0, silent)
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "x.tar")
    with pytest.raises(DataError, match=r"x\.tar is no file: it is a folder, a pipe"):
        open_source(str(tmp_path / "pipes"), DataConfig(), 0, silent)
    os.mkfifo(tmp_path / "pipes" / "y.tar")
    with pytest.raises(DataError, match=r"y\.tar (is no file|does not exist)"):
        open_source(str(tmp_path / "pipes" / "y.tar"), DataConfig(), 0, silent)
    short = json.loads((packed / "index.json").read_text())
    short["shards"][0]["photos"] = 7
    for path in packed.glob("*.tar"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "index.json").write_text(json.dumps(short))
    with pytest.raises(DataError, match="holds 8 photos where its index says 7"):
        open_source(str(folder), DataConfig(), 0, silent)


def test_names(tmp_path: Path) -> None:
    assert expand("a{0..1}/b-{08..10}.tar")[2:4] == ["a0/b-10.tar", "a1/b-08.tar"]
    assert is_photo("dir.x/01.jpeg")
    assert not is_photo("01.mask.png")
    assert names_shards("https://example.org/index.json")
    assert not names_shards(str(tmp_path))
    (tmp_path / "a.tar").touch()
    assert names_shards(str(tmp_path))
