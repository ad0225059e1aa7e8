"""What there is to do, before anything is done: found, and compared with the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from freefill import __version__
from freefill.batch.distributed import files, manifest, ownership, sources
from freefill.batch.distributed.blocks import Batch, Block
from freefill.errors import ConfigError
from freefill.masks.convert import ALPHA
from freefill.pipeline.engines.devices import choose
from freefill.weights import registry


@dataclass(frozen=True)
class Work:
    """What a batch has to do."""

    batch: Batch
    blocks: list[Block]
    before: int
    """Photos that were filled by earlier runs."""
    failed_before: int
    """Photos that failed in them and are not tried again."""

    @property
    def photos(self) -> int | None:
        """Photos to fill; ``None`` where only reading the shards tells."""
        counts = [block.count for block in self.blocks]
        return None if None in counts else sum(count or 0 for count in counts)


def batch_of(
    source: str, to: str, mask: str | None, **settings: Any
) -> tuple[Batch, sources.Found]:
    """Understand what a person has named.

    Args:
        source: A path or an ``s3://`` URL: a folder, a glob, shards or tables.
        to: The destination, likewise.
        mask: A file, a folder, or ``alpha``.
        **settings: The other fields of a batch.

    Returns:
        The batch, and what was found at its source.

    Raises:
        FreefillError: If it makes no sense, or there is nothing.
    """
    source, to = files.absolute(source), files.absolute(to)
    if mask is not None and mask != ALPHA:
        mask = files.absolute(mask)
    if source == to:
        raise ConfigError(f"{to} is the source, too: results would replace photos")
    if to == mask:
        raise ConfigError(f"{to} is the folder of the masks, too: results would replace them")
    found = sources.find(source, to, mask)
    batch = Batch(source, to, found.kind, mask, version=__version__, **settings)
    if batch.device == "auto":
        # Decided once: results have to be the same bytes on all machines.
        batch = replace(batch, device=choose("auto"))
    weights = registry.find(batch.model)
    with weights.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(batch, weights=digest), found


@contextmanager
def prepared(
    batch: Batch, found: sources.Found, size: int, *, retry: bool = False, dry: bool = False
) -> Iterator[Work]:
    """Own a batch's destination, and say what is to be done.

    Args:
        batch: The batch.
        found: Its source.
        size: Photos in a block.
        retry: Whether photos that failed before are tried again.
        dry: Only say it: nothing is owned or written.

    Yields:
        The work.

    Raises:
        FreefillError: If the destination holds something else, is in use, or sources cannot be
            read.
    """
    blocks = sources.blocks(batch, found, size)
    begun = manifest.check(batch)
    if dry:
        yield _work(batch, blocks, retry, begun)
        return
    with ownership.owned(batch) as (batch, begun):
        files.sweep(batch.to)
        yield _work(batch, blocks, retry, begun)


def _work(batch: Batch, blocks: list[Block], retry: bool, begun: bool) -> Work:
    done = manifest.done(batch.to) if begun else {}
    # By name: two runs into one bucket may have told of a photo in a part each.
    filled = {name for part in done.values() for name in {*part.names} - {*part.failed}}
    failed = {name for part in done.values() for name in {*part.failed} - {*part.again}} - filled
    left = sources.remaining(blocks, done, retry)
    return Work(batch, left, len(filled), 0 if retry else len(failed))
