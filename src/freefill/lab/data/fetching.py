"""Shards from a web server: fetched whole into a cache of bounded size, once a machine.

Processes of one machine share the cache: one fetches, the others wait for it. What was not asked
for the longest goes first; a process that has a shard open keeps it until it is done with it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from freefill.errors import DataError, WeightsError
from freefill.files.paths import cache_folder, explain_unwritable
from freefill.lab.data.shards import Shard, ShardFile
from freefill.weights import download

LARGEST_INDEX = 1 << 28
GIGABYTE = 10**9


class Cache:
    """A folder of fetched shards.

    Args:
        limit: Bytes that it may take.
        folder: By default in the user's cache.
    """

    def __init__(self, limit: int, folder: Path | None = None) -> None:
        self.limit = limit
        self.folder = folder or cache_folder("shards")

    def open(self, shard: Shard) -> ShardFile:
        """Open a shard, fetching it first if it is not here.

        Args:
            shard: Any; one on disk is where it is.

        Returns:
            Its file.

        Raises:
            DataError: If it cannot be had, or is not what its index says.
        """
        if not shard.remote:
            try:
                return ShardFile(Path(shard.address))
            except FileNotFoundError:
                raise DataError(f"{shard.address} does not exist") from None
        with explain_unwritable(self.folder, DataError):
            self.folder.mkdir(parents=True, exist_ok=True)
        named = hashlib.sha256(f"{shard.address} {shard.sha256} {shard.bytes}".encode())
        path = self.folder / f"{named.hexdigest()[:24]}.tar"
        while True:
            with FileLock(f"{path}.lock"):
                if not path.exists():
                    self._download(shard, path)
                    self._make_room(path)
                # Where there is room for few, another process may have dropped it meanwhile.
                with suppress(FileNotFoundError):
                    file = ShardFile(path)
                    os.utime(path)
                    return file

    def measure(self, addresses: Sequence[str], on_message: Callable[[str], None]) -> list[Shard]:
        """Count the photos of shards that no index tells of.

        Args:
            addresses: Paths or http addresses; the latter are fetched.
            on_message: Called with lines for people, where it takes long.

        Returns:
            The shards.

        Raises:
            DataError: If one cannot be read.
        """
        shards = []
        for number, address in enumerate(addresses, 1):
            shard = Shard(address, 0, 0)
            try:
                size = download.size_of(address) if shard.remote else Path(address).stat().st_size
            except WeightsError as error:
                raise DataError(str(error)) from None
            shards.append(Shard(address, len(self.open(Shard(address, 0, size))), size))
            if number % 100 == 0 or (shard.remote and number % 10 == 0):
                on_message(f"counted the photos of {number} of {len(addresses)} shards")
        return shards

    def _download(self, shard: Shard, path: Path) -> None:
        partial = path.with_suffix(".partial")
        try:
            download.download(shard.address, partial, shard.bytes, shard.sha256, lambda *_: None)
        except WeightsError as error:
            raise DataError(str(error)) from None
        if shard.sha256 and _sha256(partial) != shard.sha256:
            download.discard(partial)
            raise DataError(
                f"{shard.address} is not what the index says: its sha256 is another one"
            )
        download.state_of(partial).unlink(missing_ok=True)
        partial.replace(path)

    def _make_room(self, kept: Path) -> None:
        """Drop what was not asked for the longest, until the rest has room."""
        with FileLock(str(self.folder / "room.lock")):
            found = sorted(self.folder.glob("*.tar"), key=lambda path: path.stat().st_mtime)
            taken = sum(path.stat().st_size for path in found)
            for path in found:
                if taken > self.limit and path != kept:
                    taken -= path.stat().st_size
                    path.unlink()


def read(address: str) -> bytes:
    """Read an index from a web server.

    Raises:
        DataError: If it cannot be had.
    """
    try:
        return download.read(address, LARGEST_INDEX)
    except WeightsError as error:
        raise DataError(str(error)) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
