"""From what a person names to blocks of photos: a folder, a glob, shards, or tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from freefill.batch import mask_pairing
from freefill.batch.distributed import files, shards, tables
from freefill.batch.distributed.blocks import (
    NO_MEMORY,
    Batch,
    Block,
    Item,
    Kind,
    Outcome,
    part_of,
)
from freefill.errors import ConfigError, ImageError, MaskError, StorageError
from freefill.masks.convert import ALPHA

MAGIC = "*?["
ENDINGS: dict[Kind, tuple[str, ...]] = {
    "shards": (".tar", ".tar.gz", ".tgz"),
    "rows": (".parquet",),
}


@dataclass(frozen=True)
class Found:
    """What there is at a source."""

    root: str
    """The location to which names are relative."""
    names: tuple[str, ...]
    """Of all files there, sorted: masks are looked for among them."""
    chosen: tuple[str, ...]
    """Of those that are to be filled, or hold what is to be filled."""
    kind: Kind


def find(source: str, to: str, mask: str | None) -> Found:
    """Look for what is to be filled.

    Args:
        source: A location, or one with ``*``, ``?``, ``[...]`` or ``**`` in it.
        to: The destination; what lies in it is not a source.
        mask: The location of the masks, likewise.

    Returns:
        What was found.

    Raises:
        ImageError: If there is nothing.
        ConfigError: If there are photos and shards, or shards and tables.
    """
    root, names, named = _listed(source)
    others = [f"{at}/" for at in (to, mask) if at is not None and at != root]
    chosen = [
        name
        for name in named
        if not any(f"{root}/{name}".startswith(other) for other in others)
        and f"{root}/{name}" != mask
        # What an earlier batch has written may be the source of this one, but not its manifest.
        and files.PRIVATE not in name.split("/")
    ]
    if not names:
        raise ImageError(f"{source} does not exist, or is empty")
    # What is named is a photo, whatever it is called.
    kind, chosen = _of_one_kind(source, chosen, names if len(named) > 1 else named)
    return Found(root, tuple(names), tuple(chosen), kind)


def _listed(source: str) -> tuple[str, list[str], list[str]]:
    """Give the root of a source, the names of all files below it, and those that are meant."""
    kind = files.kind(source)
    # A folder may be called photos[1]: what is there is meant.
    if kind is None and any(sign in source for sign in MAGIC):
        return _matching(source)
    if kind == "file":
        root, _, name = source.rpartition("/")
        # The mask beside a photo is looked for among the other files.
        names = files.listing(root, deep=False) if mask_pairing.is_picture(name) else [name]
        return root, names, [name]
    names = files.listing(source)
    return source, names, names


def _matching(source: str) -> tuple[str, list[str], list[str]]:
    """Do the same for a glob, whose root is the part before its first sign."""
    root = source[: min(source.index(sign) for sign in MAGIC if sign in source)]
    root = root.rpartition("/")[0] or "/"
    if files.is_remote(source) and not files.is_remote(root):
        raise ConfigError(f"{source}: the name of a bucket has to be written out")
    names = files.listing(root)
    try:
        pattern = glob(source[len(root) :].lstrip("/"))
    except re.error as error:
        raise ConfigError(f"{source} is no pattern that can be followed: {error}") from None
    return root, names, [name for name in names if pattern.fullmatch(name)]


def _of_one_kind(source: str, names: Sequence[str], among: Sequence[str]) -> tuple[Kind, list[str]]:
    """Tell what a source holds; whatever is none of all kinds is left out."""
    by_kind: dict[Kind, list[str]] = {
        "photos": mask_pairing.photos(names, among=among),
        "shards": [name for name in names if name.lower().endswith(ENDINGS["shards"])],
        "rows": [name for name in names if name.lower().endswith(ENDINGS["rows"])],
    }
    full = [(kind, found) for kind, found in by_kind.items() if found]
    if not full:
        raise ImageError(f"{source} holds no photos, no shards (.tar) and no tables (.parquet)")
    if len(full) > 1:
        kinds = " and ".join(f"{len(found)} {kind}" for kind, found in full)
        raise ConfigError(
            f"{source} holds {kinds}: name one kind by a pattern, such as '{source}/**/*.tar'"
        )
    return full[0]


def glob(pattern: str) -> re.Pattern[str]:
    """Make a regular expression of a glob.

    Args:
        pattern: ``*`` and ``?`` stop at folders, ``**`` does not, ``[...]`` is one of a set.

    Examples:
        >>> [bool(glob("**/a?.jpg").fullmatch(n)) for n in ("a1.jpg", "x/y/a2.jpg", "x/a.jpg")]
        [True, True, False]
    """
    out, at = "", 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            out, at = out + "(?:.*/)?", at + 3
        elif rest.startswith("**"):
            out, at = out + ".*", at + 2
        elif rest[0] in "*?":
            out, at = out + ("[^/]*" if rest[0] == "*" else "[^/]"), at + 1
        elif rest[0] == "[" and "]" in rest[2:]:
            end = rest.index("]", 2)
            inside = rest[1:end].replace("\\", "\\\\")
            inside = f"^{inside[1:]}" if inside[0] == "!" else inside
            out, at = out + f"[{inside}]", at + end + 1
        else:
            out, at = out + re.escape(rest[0]), at + 1
    return re.compile(out)


def blocks(batch: Batch, found: Found, size: int) -> list[Block]:
    """Make blocks of what was found.

    Args:
        batch: The batch.
        found: Its source.
        size: Files in a block; a shard, and a group of a table's rows, is a block of its own.

    Returns:
        The blocks, in the order of their names.

    Raises:
        ImageError: If two results would have the same name.
        MaskError: If the mask does not exist, or cannot be found for samples of this kind.
        StorageError: If a table cannot be read.
    """
    mask_is = None if batch.mask in (None, ALPHA) else files.kind(str(batch.mask))
    if batch.mask not in (None, ALPHA) and mask_is is None:
        raise MaskError(f"{batch.mask} does not exist")
    if batch.kind == "photos":
        items = list(_photos(batch, found, mask_is == "folder"))
        _check_apart(items)
        parts = [items[at : at + size] for at in range(0, len(items), size)]
        return [_of_files(part) for part in parts]
    if mask_is == "folder":
        raise MaskError(
            f"`mask={batch.mask}` is a folder: samples of shards and tables carry their masks, or "
            "have one file for all, or `mask=alpha`"
        )
    if batch.kind == "shards":
        _check_folders(found.chosen)
        return [
            Block(part_of([name]), name, location=f"{found.root}/{name}") for name in found.chosen
        ]
    return [block for name in found.chosen for block in tables.blocks(batch, found.root, name)]


def remaining(found: Iterable[Block], done: dict[str, Outcome], retry: bool) -> list[Block]:
    """Leave out what the manifest tells of.

    Args:
        found: All blocks.
        done: By part, what became of its photos.
        retry: Whether all that failed are to be done again, and not only those that failed for
            want of memory.

    Returns:
        The blocks that are to be done. Those of an unchanged source are the same whoever asks, so
        that a block which two do at the same time is still told of once.
    """
    named = {name for part in done.values() for name in part.names}
    again_by_part = {name: part.failed if retry else part.again for name, part in done.items()}
    wanted = {name for names in again_by_part.values() for name in names}
    items: dict[str, Item] = {}
    left = []
    for block in found:
        if block.location is None:
            items.update((item.name, item) for item in block.items if item.name in wanted)
            rest = [item for item in block.items if item.name not in named]
            if rest:
                left.append(block if len(rest) == len(block.items) else _of_files(rest))
        elif block.part not in done:
            if block.count and not named.isdisjoint(tables.names_of(block)):
                raise ConfigError(
                    f"{block.name.rpartition('#')[0]} was written anew with other groups of rows "
                    "since the batch was begun: name another destination"
                )
            left.append(block)
        elif failed := frozenset(again_by_part[block.part]):
            # Where the shard itself was the trouble, all of it is new.
            again = None if block.name in failed else failed
            count = block.count if again is None else len(again)
            left.append(replace(block, only=again, count=count))
    for part, failed_names in again_by_part.items():
        again_items = [items[name] for name in failed_names if name in items]
        if again_items:
            only = frozenset(item.name for item in again_items)
            left.append(replace(_of_files(again_items), part=part, only=only))
    return left


def items_of(batch: Batch, block: Block) -> Iterator[Item]:
    """Give the photos of a block; one that cannot be read to its end yields its trouble last."""
    if block.location is None:
        yield from block.items
        return
    samples = shards.samples if batch.kind == "shards" else tables.samples
    try:
        for item in samples(batch, block):
            if block.only is None or item.name in block.only:
                yield item
    except MemoryError:
        yield Item(block.name, "", trouble=f"{block.name}: {NO_MEMORY}")
    except Exception as error:  # a damaged archive raises anything
        if isinstance(error, OSError) and files.lost(block.location, error):
            raise StorageError(
                f"{block.name} cannot be read, nor what lies beside it: {files.reason(error)}; "
                "what was committed stays, and the same command goes on from there"
            ) from None
        why = files.reason(error) if isinstance(error, OSError) else str(error)
        if not isinstance(error, (OSError, StorageError, *shards.DAMAGED)):
            why = f"{type(error).__name__}: {error}"
        yield Item(block.name, "", trouble=f"{block.name} cannot be read to its end: {why}")


def _photos(batch: Batch, found: Found, apart: bool) -> Iterator[Item]:
    """Give each photo with its mask; ``apart``: masks are in a folder of their own."""
    mask = batch.mask
    pool, root = set(found.names), found.root
    if apart:
        assert mask is not None
        pool, root = set(files.listing(mask)), mask
    for name in found.chosen:
        path = PurePosixPath(name)
        out = str(path.with_suffix(batch.ending)) if batch.ending else name
        trouble = files.unsafe(name)
        its: str | None = mask
        if mask is None or apart:
            stems = (
                mask_pairing.stems_in_folder(path.stem)
                if apart
                else mask_pairing.stems_beside(path.stem)
            )
            folder = f"{path.parent}/" if path.parent.name else ""
            photo = name if root == found.root else None
            there = mask_pairing.first([folder + stem for stem in stems], _among(pool, photo))
            its = None if there is None else f"{root}/{there}"
        yield Item(files.printable(name), out, f"{found.root}/{name}", its, trouble)


def _among(pool: set[str], photo: str | None) -> Callable[[str], bool]:
    return lambda name: name in pool and name != photo


def _check_apart(items: Sequence[Item]) -> None:
    taken: dict[str, str] = {}
    for item in items:
        if item.out in taken:
            raise ImageError(
                f"{taken[item.out]} and {item.name} would both become {item.out}: rename one, or "
                "fill them in two batches"
            )
        taken[item.out] = item.name


def _check_folders(names: Sequence[str]) -> None:
    """Refuse shards whose results might have the same names."""
    taken: dict[str, str] = {}
    for name in names:
        folder = shards.folder_of(name)
        if folder in taken:
            raise ImageError(
                f"the results of {taken[folder]} and {name} would both lie in {folder}/: rename "
                "one, or fill them in two batches"
            )
        taken[folder] = name
    for folder, name in taken.items():
        above = folder.rpartition("/")[0]
        while above:
            if above in taken:
                raise ImageError(
                    f"the results of {name} would lie among those of {taken[above]}: rename one, "
                    "or fill them in two batches"
                )
            above = above.rpartition("/")[0]


def _of_files(items: Sequence[Item]) -> Block:
    part = part_of(item.name for item in items)
    return Block(part, items[0].name, items=tuple(items), count=len(items))
