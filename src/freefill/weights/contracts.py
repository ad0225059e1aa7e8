"""What a network from elsewhere expects of its caller: data, so that another one takes no code.

A contract stands as the table ``network`` on an entry of the registry, and on the card beside a
file. A file without a card is known by its signature: the names, types and shapes of its inputs and
outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from freefill.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

Layout = Literal["NCHW", "NHWC"]
Channels = Literal["rgb", "bgr"]
Dtype = Literal["float32", "float16", "uint8"]
InHole = Literal["nearest", "black", "grey"]
Range = tuple[float, float]
LARGEST_SIDE = 4096
_CHOICES: dict[str, tuple[str, ...]] = {
    "layout": get_args(Layout),
    "channels": get_args(Channels),
    "dtype": get_args(Dtype),
    "mask_dtype": get_args(Dtype),
    "in_hole": get_args(InHole),
}
_OWN = "freefill's own (image float32 1x3x?x?, hole float32 1x1x?x?, to filled)"


@dataclass(frozen=True)
class Tensor:
    """One input or output of a network.

    Attributes:
        name: What the file calls it.
        dtype: As NumPy calls it.
        shape: A number for each side that is fixed, ``None`` for one that is not.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        """Give it as a person reads it: ``image float32 1x3x?x?``."""
        sides = "x".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} {self.dtype} {sides or 'of one number'}"


@dataclass(frozen=True)
class Contract:
    """How a network is to be called.

    Attributes:
        kind: What it is, for people: ``"LaMa, 512x512"``.
        image: Name of the input that takes the picture.
        mask: Name of the input that takes the mask.
        output: Name of the output with the filled picture.
        layout: Order of the axes of all three.
        channels: Order of the colours of picture and output.
        dtype: Of the picture.
        range: What black and white are in the picture.
        output_range: What they are in the output.
        mask_dtype: Of the mask.
        mask_hole: Its value where to fill.
        mask_keep: Its value where the picture is known.
        in_hole: What the picture has in the hole: ``"nearest"``, the colours of the nearest known
            pixels, for networks that resize or blend and would bring anything else out at the rim;
            ``"black"`` or ``"grey"`` for those that were trained so.
        side: Pixels a side that it fills well: it is shown crops of that size.
        multiple: Sides have to be multiples of it.
        fixed: Whether it takes squares of ``side`` and nothing else.
        composites: Whether it puts the known part of the picture into its output. The pipeline
            keeps known pixels in any case; ``freefill weights verify`` finds wrong masks by it.
    """

    kind: str
    image: str = "image"
    mask: str = "mask"
    output: str = "output"
    layout: Layout = "NCHW"
    channels: Channels = "rgb"
    dtype: Dtype = "float32"
    range: Range = (0.0, 1.0)
    output_range: Range = (0.0, 1.0)
    mask_dtype: Dtype = "float32"
    mask_hole: float = 1.0
    mask_keep: float = 0.0
    in_hole: InHole = "nearest"
    side: int = 512
    multiple: int = 1
    fixed: bool = False
    composites: bool = False

    @property
    def expected(self) -> str:
        """Inputs and output as a person reads them."""
        inputs = " and ".join(str(self._tensor(name)) for name in ("image", "mask"))
        return f"{self.kind} ({inputs}, to {self.output})"

    def matches(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bool:
        """Tell whether a file may be such a network, by names, types and shapes."""
        wanted = {self.image: self._tensor("image"), self.mask: self._tensor("mask")}
        if {one.name for one in inputs} != wanted.keys() or len(inputs) != 2:
            return False
        result = self._tensor("output")
        given = [(one, wanted[one.name]) for one in inputs]
        given += [(one, result) for one in outputs if one.name == self.output]
        if len(given) != 3:
            return False
        return all(_agrees(one, other, self.fixed) for one, other in given)

    def as_card(self) -> dict[str, Any]:
        """Give it as a card holds it."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def _tensor(self, what: Literal["image", "mask", "output"]) -> Tensor:
        channels = 1 if what == "mask" else 3
        side = self.side if self.fixed else None
        sides = (channels, side, side) if self.layout == "NCHW" else (side, side, channels)
        # Networks give what they compute in; that of the output is no matter.
        dtype = {"image": self.dtype, "mask": self.mask_dtype, "output": ""}[what]
        return Tensor(getattr(self, what), dtype, (1, *sides))


def _agrees(found: Tensor, wanted: Tensor, fixed: bool) -> bool:
    if wanted.dtype and found.dtype != wanted.dtype:
        return False
    if not found.shape and not wanted.dtype:
        return True  # an output whose shape the file does not state
    if len(found.shape) != 4 or found.shape[0] not in (1, None):
        return False
    pairs = list(zip(found.shape[1:], wanted.shape[1:], strict=True))
    if not wanted.dtype:
        return all(a is None or b is None or a == b for a, b in pairs)
    # Fixed sides have to be stated, and free ones free: 256 and 512 are two networks.
    return all(a == b if fixed or b is None else a in (b, None) for a, b in pairs)


def parse(table: object, where: str) -> Contract:
    """Read a contract from an entry of a registry, or a card.

    Args:
        table: What stands under ``network``.
        where: What it is a part of, for messages.

    Returns:
        The contract.

    Raises:
        WeightsError: If a field is unknown, missing or has a value that it cannot have.

    Examples:
        >>> parse({"kind": "a network", "mask_hole": 255}, "a.toml").mask_hole
        255.0
        >>> parse({"kind": "a network", "layout": "HW"}, "a.toml")
        Traceback (most recent call last):
        ...
        freefill.errors.WeightsError: a.toml: network.layout is 'HW'; it is one of NCHW, NHWC
    """
    if not isinstance(table, dict):
        raise WeightsError(f"{where}: network is a table, not {table!r:.80}")
    names = [field.name for field in fields(Contract)]
    read: dict[str, Any] = {}
    for key, value in table.items():
        if key not in names:
            raise WeightsError(
                f"{where}: no field network.{key!s:.40}; there are {', '.join(names)}"
            )
        read[key] = _value(key, value, where)
    if not read.get("kind"):
        raise WeightsError(f"{where}: network has no kind, which says what it is")
    contract = Contract(**read)
    _check(contract, where)
    return contract


def _value(key: str, value: object, where: str) -> Any:
    told = f"{where}: network.{key} is {value!r:.80}"
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise WeightsError(f"{told}; it is one of {', '.join(_CHOICES[key])}")
        return value
    if key in ("range", "output_range"):
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)):
            raise WeightsError(f"{told}; it is two numbers: those of black and white")
        return float(value[0]), float(value[1])
    if key in ("mask_hole", "mask_keep"):
        if not _is_number(value):
            raise WeightsError(f"{told}; it is a number")
        return float(value)  # type: ignore[arg-type]
    kind = {"side": int, "multiple": int, "fixed": bool, "composites": bool}.get(key, str)
    if type(value) is not kind:
        raise WeightsError(f"{told}; it is a {kind.__name__}")
    return value


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _check(contract: Contract, where: str) -> None:
    if not (32 <= contract.side <= LARGEST_SIDE and 1 <= contract.multiple <= contract.side):
        raise WeightsError(
            f"{where}: network.side is {contract.side} and multiple {contract.multiple}; a side "
            f"has 32 to {LARGEST_SIDE} pixels, and multiple is at most that"
        )
    if contract.mask_hole == contract.mask_keep:
        both = contract.mask_hole
        raise WeightsError(f"{where}: network.mask_hole and mask_keep are both {both:g}")
    for low, high in (contract.range, contract.output_range):
        if low == high:
            raise WeightsError(f"{where}: a range from {low} to {high} holds no picture")


def recognise(
    path: Path,
    card: Mapping[str, Any],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
) -> tuple[Contract, bool]:
    """Find out how the network of a file is to be called.

    Args:
        path: The file, for messages.
        card: The card beside it; what it states counts.
        inputs: Of the network.
        outputs: Of the network.

    Returns:
        The contract, and whether it is a guess by the signature.

    Raises:
        WeightsError: If the card's contract is another network's, or the signature is none that the
            registry has; the message tells what was found and what is known.
    """
    found = f"inputs {_told(inputs)} and outputs {_told(outputs)}"
    if "network" in card:
        contract = parse(card["network"], f"the card of {path}")
        if not contract.matches(inputs, outputs):
            raise WeightsError(f"{path} has {found}; its card tells of {contract.expected}")
        return contract, False
    from freefill.weights.entries import list_entries

    known: dict[Contract, None] = {}
    for entry in list_entries():
        if entry.network is not None:
            known.setdefault(entry.network)
    for contract in known:
        if contract.matches(inputs, outputs):
            return contract, True
    # LaMa's two files expect the same; they are named once.
    kinds = {contract.kind: contract.expected for contract in known}
    card_name = path.with_suffix(".json").name
    raise WeightsError(
        f"{path} is no network that freefill knows: it has {found}. Known are "
        f"{'; '.join([_OWN, *kinds.values()])}. A card beside it, {card_name}, "
        "can say how it is to be called: docs/models.md"
    )


def _told(tensors: Sequence[Tensor]) -> str:
    shown = [f"{tensor!s:.80}" for tensor in tensors[:6]]
    more = [f"and {len(tensors) - 6} more"] if len(tensors) > 6 else []
    return ", ".join([*shown, *more]) or "none"
