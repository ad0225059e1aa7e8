"""WebDataset shards: plain tar files of photos, read at any place.

A shard is a tar of samples; what stands before the first dot of a member's name is the sample's
key, what stands after it tells what the member is (https://github.com/webdataset/webdataset). Here
a sample is its photo (``KEY.jpg``); other members, as ``KEY.json`` or ``KEY.mask.png``, are passed
over. Most readers stream; this one looks up where each photo lies, so that training can take them
in any order and go on at any place.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

from freefill.errors import DataError
from freefill.files.json_files import parse_json, read_regular
from freefill.files.paths import is_hidden, is_within_hidden
from freefill.lab.data.photos import SUFFIXES

INDEX = "index.json"
MOST_INDEX = 2**28
"""Bytes of an index: a million shards have 200 MB."""
FORMAT = 1
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Attributes:
        address: Its path, or its http address.
        photos: How many it holds.
        bytes: Its size.
        sha256: Of the file; empty where nobody has said.
    """

    address: str
    photos: int
    bytes: int
    sha256: str = ""

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched."""
        return is_remote(self.address)


class ShardFile:
    """A shard on disk, open for reading.

    Args:
        path: The file; compressed ones cannot be read at any place.

    Raises:
        FileNotFoundError: If there is none.
        DataError: If it cannot be read as a plain tar.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: list[str] = []
        self.places: list[tuple[int, int]] = []
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                # A pipe would be waited for.
                raise DataError(f"{path} is no file: it is a folder, a pipe or a device")
            self.file = path.open("rb")
            with tarfile.open(fileobj=self.file, mode="r:") as tar:
                for member in tar:
                    if member.isfile() and is_photo(member.name):
                        self.names.append(member.name)
                        self.places.append((member.offset_data, member.size))
        except (FileNotFoundError, DataError):
            raise
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{path} cannot be read as a plain tar: {error}") from None

    def __len__(self) -> int:
        """Count the photos."""
        return len(self.places)

    def read(self, number: int) -> bytes:
        """Give the file of one photo, as it was packed; threads may ask at the same time."""
        start, size = self.places[number]
        return os.pread(self.file.fileno(), size, start)


def is_photo(member: str) -> bool:
    """Return whether a member is its sample's photo: ``a/0001.jpg`` is, ``a/0001.mask.png`` is not.

    Examples:
        >>> is_photo("a/0001.JPG"), is_photo("a/0001.mask.png"), is_photo("a/0001.json")
        (True, False, False)
    """
    _, _, kind = PurePosixPath(member).name.partition(".")
    return f".{kind.lower()}" in SUFFIXES and not is_within_hidden(member)


def is_remote(address: str) -> bool:
    """Return whether an address is one of a web server."""
    return address.lower().startswith(("http://", "https://"))


def names_shards(data: str) -> bool:
    """Return whether ``--data`` names shards, and not a folder of photos."""
    if is_remote(data) or data.endswith(".tar"):
        return True
    folder = Path(data)
    return folder.is_dir() and ((folder / INDEX).is_file() or bool(_tars(folder)))


def _tars(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.tar") if not is_hidden(path.name))


def list_shards(
    data: str, read: Callable[[str], bytes], measure: Callable[[list[str]], list[Shard]]
) -> list[Shard]:
    """List the shards that ``--data`` names.

    Args:
        data: A folder of shards; ``shard-{000..099}.tar``, on disk or at an http address; or the
            http address of an ``index.json`` or of the folder that it lies in.
        read: Reads the file at an http address.
        measure: Counts the photos of shards that no index tells of.

    Returns:
        The shards, in the order of the index or of their names.

    Raises:
        DataError: If there are none, or the index cannot be understood.
    """
    if is_remote(data) and not data.endswith(".tar"):
        address = data if data.endswith(".json") else data.rstrip("/") + f"/{INDEX}"
        return _from_index(address, read(address))
    folder = Path(data)
    if not is_remote(data) and folder.is_dir():
        index = folder / INDEX
        if index.is_file():
            return _from_index(str(index), read_regular(index, DataError, MOST_INDEX))
        found = _tars(folder)
    else:
        found = expand(data)
        missing = [name for name in found if not is_remote(name) and not Path(name).is_file()]
        if missing:
            raise DataError(f"{missing[0]} does not exist ({len(missing)} of {len(found)} shards)")
    if not found:
        raise DataError(f"{data} names no shards: a range goes from the smaller number up")
    shards = measure(found)
    empty = [shard.address for shard in shards if not shard.photos]
    if empty:
        raise DataError(f"{empty[0]} holds no photos (members such as KEY.jpg)")
    return shards


def expand(pattern: str) -> list[str]:
    """Write out ranges in braces.

    Examples:
        >>> expand("a-{08..10}.tar")
        ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last = found.groups()
    numbers = range(int(first), int(last) + 1)
    head, tail = pattern[: found.start()], pattern[found.end() :]
    return [name for n in numbers for name in expand(f"{head}{n:0{len(first)}}{tail}")]


def _from_index(address: str, content: bytes) -> list[Shard]:
    try:
        index = parse_json(content, address, DataError, "an index of shards")
        if index["format"] != FORMAT:
            raise DataError(f"{address} has format {index['format']}; this freefill reads {FORMAT}")
        shards = [
            Shard(
                _beside(address, str(entry["name"])),
                int(entry["photos"]),
                int(entry["bytes"]),
                str(entry.get("sha256", "")),
            )
            for entry in index["shards"]
        ]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{address} is no index of shards: {error!r}") from None
    if not sum(shard.photos for shard in shards):
        raise DataError(f"{address} names no photos")
    return shards


def _beside(index: str, name: str) -> str:
    return urljoin(index, name) if is_remote(index) else str(Path(index).parent / name)
