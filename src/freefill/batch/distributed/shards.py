"""Shards as WebDataset has them: tar files in which the members of a sample follow each other."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Self

from freefill.batch.distributed import files
from freefill.batch.distributed.blocks import Batch, Block, Item
from freefill.batch.mask_pairing import SUFFIXES
from freefill.files.paths import is_within_hidden
from freefill.masks.convert import ALPHA

DAMAGED = (tarfile.TarError, EOFError, zlib.error)
PIECE = 2**20
MAX_MEMBER = 2**30
"""Bytes of a member: what is longer is no photo."""


class Member(tarfile.TarInfo):
    """A member; it finds out whether the archive has an end, which ``tarfile`` does not tell."""

    @classmethod
    def fromtarfile(cls, archive: Any) -> Self:
        """Read the next member."""
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            archive.ended = True
            raise


def samples(batch: Batch, block: Block) -> Iterator[Item]:
    """Read the samples of a shard, from its start to its end.

    A sample's key is the name of its members up to the first dot: ``KEY.jpg`` and
    ``KEY.mask.png``, one after the other. Other members are left out.

    Args:
        batch: The batch.
        block: The shard.

    Yields:
        One item a sample that has a photo.

    Raises:
        OSError: If it cannot be read.
        tarfile.TarError: If it is damaged; so are the others of :data:`DAMAGED`.
    """
    assert block.location is not None
    seen: dict[str, int] = {}
    key, members = "", dict[str, bytes]()
    with (
        files.opened(block.location) as stream,
        tarfile.open(fileobj=stream, mode="r|*", tarinfo=Member) as archive,
    ):
        for member in archive:
            path = PurePosixPath(member.name)
            stem, dot, ending = path.name.partition(".")
            skipped = path.name.startswith("__") or is_within_hidden(member.name)
            if not member.isreg() or not stem or not dot or skipped:
                _skip(archive, member)
                continue
            # `tar -cf x.tar .` puts a dot before every name.
            whole = (member.name[: len(member.name) - len(path.name)] + stem).removeprefix("./")
            if whole != key:
                yield from _sample(batch, block, key, members, seen)
                key, members = whole, {}
            ending = ending.lower()
            if f".{ending.removeprefix('mask.')}" in SUFFIXES:
                file = archive.extractfile(member) if member.size <= MAX_MEMBER else None
                members[ending] = b"" if file is None else file.read()
            _skip(archive, member)
        if not getattr(archive, "ended", False):
            # Its last sample may lack a member, which would look like a missing mask.
            raise tarfile.ReadError(f"it is cut off after {len(seen)} samples")
        yield from _sample(batch, block, key, members, seen)


def _skip(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Read over a large member: ``tarfile`` would look for its end far beyond the archive's."""
    # What is of an unknown kind is data as well; a sparse one claims what it does not hold.
    data = (member.isreg() and not member.issparse()) or member.type not in tarfile.SUPPORTED_TYPES
    file = archive.extractfile(member) if data and member.size > MAX_MEMBER else None
    while file is not None and file.read(PIECE):
        pass


def _sample(
    batch: Batch, block: Block, key: str, members: dict[str, bytes], seen: dict[str, int]
) -> Iterator[Item]:
    photos = [ending for ending in members if not ending.startswith("mask.")]
    if not photos:
        return
    seen[key] = seen.get(key, 0) + 1
    name = files.printable(f"{block.name}#{key}")
    trouble = files.unsafe(key)
    trouble = None if trouble is None else f"{block.name}#{trouble}"
    if seen[key] > 1:
        name += f" ({seen[key]})"
        trouble = f"{name}: the shard has another sample of this key"
    elif len(photos) > 1:
        trouble = f"{name}: the sample has {len(photos)} photos ({', '.join(photos)})"
    masks = [content for ending, content in members.items() if ending.startswith("mask.")]
    mask: str | bytes | None = batch.mask
    if mask is None and masks:
        mask = masks[0]
    elif mask is None:
        trouble = trouble or f"{name} has no mask: the shard has no {key}.mask.png beside its photo"
    out = f"{folder_of(block.name)}/{key}{batch.ending or '.' + photos[0]}"
    # A mask for all is read once by whoever fills; the word alpha goes through as it is.
    assert mask is None or mask == ALPHA or isinstance(mask, str | bytes)
    yield Item(name, out, members[photos[0]], mask, trouble)


def folder_of(name: str) -> str:
    """Give the folder that the results of a shard lie in.

    Examples:
        >>> [folder_of(name) for name in ("a/x.tar", "x.TAR.gz", "x.tgz")]
        ['a/x', 'x', 'x']
    """
    for ending in (".tar.gz", ".tgz", ".tar"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
