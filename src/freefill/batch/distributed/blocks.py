"""What a batch is made of: settings, blocks that are done as a whole, their photos and rows.

All of it travels to other processes and machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from freefill.batch.fill_photo import Options
from freefill.pipeline.engines.devices import Device

Kind = Literal["photos", "shards", "rows"]
AGAIN = "the next run tries it again"
"""How an error ends that says nothing of the photo: it is not final."""
NO_MEMORY = f"there was not enough memory: {AGAIN}"


@dataclass(frozen=True)
class Batch:
    """One batch: what is filled, how, and where to."""

    source: str
    """A location, as it was given but absolute; of a glob, the glob."""
    to: str
    """The destination's location."""
    kind: Kind
    mask: str | None = None
    """A location, or ``alpha``; ``None`` as for ``freefill fill``."""
    options: Options = field(default_factory=Options)
    ending: str | None = None
    """Of all results, e.g. ``.png``; by default each photo's own."""
    model: str = "light"
    weights: str = ""
    """The sha256 of the weights."""
    version: str = ""
    """Freefill's."""
    device: Device = "cpu"
    """What computes: another rounds otherwise. ``auto`` is decided when the batch is prepared."""
    image_column: str = "image"
    mask_column: str = "mask"
    token: str = ""
    """Of the run, without which it commits nothing; empty where nobody owns the destination."""

    def definition(self) -> dict[str, Any]:
        """Give what the results depend on."""
        options = asdict(self.options)
        # Masks of a batch are never soft.
        for name in ("overwrite", "explain", "soft"):
            del options[name]
        columns = {"image-column": self.image_column, "mask-column": self.mask_column}
        return {
            "source": self.source,
            "mask": self.mask,
            **{name.replace("_", "-"): value for name, value in options.items()},
            "format": self.ending,
            "weights": self.weights,
            "device": self.device,
            "freefill": self.version,
            **(columns if self.kind == "rows" else {}),
        }


@dataclass(frozen=True)
class Item:
    """One photo."""

    name: str
    """What the manifest calls it: relative to the source, and no other is called so."""
    out: str
    """The result's name below the destination; without an ending where only the file tells it."""
    photo: str | bytes = b""
    """A location, or the file itself."""
    mask: str | bytes | None = None
    """The same, or ``alpha``."""
    trouble: str | None = None
    """Why it cannot be filled, where that is known before it is read."""
    table: str | None = None
    """The location of the table that names it: as long as that is there, a path that leads nowhere
    is a fault of the row."""


@dataclass(frozen=True)
class Block:
    """Photos that are done, and written into the manifest, as a whole."""

    part: str
    """Of the manifest: the same photos have the same part, whoever does them and how often."""
    name: str
    """What errors and the manifest call the block itself."""
    items: tuple[Item, ...] = ()
    """Of a block of files."""
    location: str | None = None
    """Of a shard, or of a table."""
    group: int = 0
    """Of the table's rows, and the number of the first of them."""
    first: int = 0
    count: int | None = None
    """Photos in it; ``None`` where only reading it tells."""
    only: frozenset[str] | None = None
    """The photos to do again; what the part says of the others stays."""


@dataclass(frozen=True)
class Row:
    """What the manifest says of one photo; see ``docs/scale/batch.md``."""

    input: str
    output: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    ms: float | None = None
    error: str | None = None
    width: int | None = None
    height: int | None = None
    hole: float | None = None
    notices: str | None = None


class Outcome(NamedTuple):
    """What a part of the manifest tells of."""

    names: list[str]
    failed: list[str]
    again: list[str] = []  # noqa: RUF012 - never changed
    """Of those that failed, those that the next run tries again."""


@dataclass(frozen=True)
class Done:
    """What became of a block."""

    part: str
    filled: int
    failed: int
    errors: tuple[str, ...] = ()
    """The first few."""


def part_of(names: Iterable[str]) -> str:
    """Name the part of the manifest that tells of some photos.

    Examples:
        >>> part_of(["a.jpg", "b.jpg"])
        'part-beb61a1070128f73'
    """
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
    return f"part-{digest.hexdigest()[:16]}"
