"""Pickles looked through, not run: what is on the stack is followed, nothing is made.

What a dict of tensors needs is a small part of what torch's own restricted reader would run: dicts
with names or numbers for keys, tensors of storages that are in the file, and plain values. All else
is refused, because it can be made to cost any amount of time or memory: keys that are tuples in
tuples in tuples, storages that are asked for and not read, dicts whose own methods are replaced.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Literal

from freefill.errors import WeightsError

PROTOCOL = 2
STORAGES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8,
}
"""Names that torch writes for a tensor's numbers, and the bytes of one. They are only names in a
file; ``torch.storage.UntypedStorage`` is a class that asks for memory, and torch does not write it.
"""
DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "complex64", "complex128", "bool"),
    *("uint8", "int8", "int16", "int32", "int64"),
)
ALLOWED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
    *(f"torch {name}" for name in (*STORAGES, *DTYPES)),
}
"""What the pickle of a dict of tensors names: module and name."""
WEIGHT = 1000
"""Parts of a tuple, those of the tuples in it counted each time they are in it."""

Kind = Literal["mark", "text", "number", "plain", "global", "tuple", "list", "dict", "made"]
PLAIN: dict[str, Kind] = {
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE"), "text"),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), "number"),
    **dict.fromkeys(("NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT"), "plain"),
    "EMPTY_LIST": "list",
    "EMPTY_DICT": "dict",
    "GLOBAL": "global",
    "MARK": "mark",
}
"""Operations that put one thing on the stack."""


@dataclass(slots=True)
class _Thing:
    """What would be on the stack.

    Attributes:
        kind: What it is.
        value: The text, the number, or the name of a global.
        parts: Of a tuple.
        weight: See :data:`WEIGHT`.
        largest: The largest number in a tuple, and in the tuples in it.
        keys: Of a dict, those that are text.
    """

    kind: Kind
    value: Any = None
    parts: tuple[_Thing, ...] = ()
    weight: int = 1
    largest: int = 0
    keys: set[str] = field(default_factory=set)


def check_program(program: BytesIO, size: int) -> None:
    """Look through a pickle up to its end.

    Args:
        program: The pickle; it is left behind it.
        size: Bytes of the file that it is in: no tensor has more numbers, nor all together more
            bytes.

    Raises:
        WeightsError: If it is damaged, or does what no dict of tensors needs.
    """
    try:
        _Reader(size).read(program)
    except (IndexError, KeyError):
        raise WeightsError("its pickle is damaged: it uses what is not there") from None


class _Reader:
    def __init__(self, size: int) -> None:
        self.size = size
        self.stack: list[_Thing] = []
        self.memo: dict[int, _Thing] = {}
        self.storages: dict[str, int] = {}
        self.total = 0

    def read(self, program: BytesIO) -> None:
        for operation, argument, _ in pickletools.genops(program):
            self._step(operation.name, argument)

    def _step(self, name: str, argument: Any) -> None:
        if name in PLAIN:
            self.stack.append(self._plain(name, argument))
        elif name in TUPLES:
            self.stack.append(_tuple(self._popped(TUPLES[name])))
        elif name == "TUPLE":
            self.stack.append(_tuple(self._marked()))
        elif name in HANDLERS:
            HANDLERS[name](self, argument)
        elif name != "STOP":
            raise _refused(f"its pickle has {name}")

    def _remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def _recall(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def _set_item(self, _: None) -> None:
        items = self._popped(2)
        _add_items(self.stack[-1], items)

    def _set_items(self, _: None) -> None:
        items = self._marked()
        _add_items(self.stack[-1], items)

    def _append(self, _: None) -> None:
        self.stack.pop()
        _expect(self.stack[-1], "list", "appends to")

    def _append_all(self, _: None) -> None:
        self._marked()
        _expect(self.stack[-1], "list", "appends to")

    def _refer(self, _: None) -> None:
        self.stack.append(self._storage(self.stack.pop()))

    def _reduce(self, _: None) -> None:
        arguments = self.stack.pop()
        self.stack.append(self._call(self.stack.pop(), arguments))

    def _change(self, _: None) -> None:
        self._build(self.stack.pop(), self.stack[-1])

    def _check_protocol(self, protocol: int) -> None:
        if protocol != PROTOCOL:
            raise WeightsError(
                f"it was saved with pickle protocol {protocol}; torch's own is {PROTOCOL}: "
                "save it again without pickle_protocol. Nothing in it was run"
            )

    def _popped(self, count: int) -> list[_Thing]:
        """Take the last things off the stack; give them in the order in which they were put."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def _plain(self, name: str, argument: Any) -> _Thing:
        kind = PLAIN[name]
        if kind == "global" and argument not in ALLOWED:
            raise _refused(f"it asks for {str(argument)[:80]!r}")
        return _Thing(kind, argument, largest=abs(argument) if kind == "number" else 0)

    def _marked(self) -> list[_Thing]:
        found = []
        while (thing := self.stack.pop()).kind != "mark":
            found.append(thing)
        return found[::-1]

    def _storage(self, said: _Thing) -> _Thing:
        """Follow a reference to a storage of the file: its kind, name, place and length."""
        parts = said.parts
        kinds = [part.kind for part in parts[:5]]
        if kinds != ["text", "global", "text", "text", "number"] or parts[0].value != "storage":
            raise _refused("it refers to something that is no tensor's numbers")
        width = STORAGES.get(parts[1].value.removeprefix("torch "))
        if width is None or len(parts) > 6 or (len(parts) == 6 and parts[5].kind != "plain"):
            raise _refused(f"it has numbers of the kind {parts[1].value!r}")
        self._check_largest(said)
        self.storages[parts[2].value] = parts[4].value * width
        if (total := sum(self.storages.values())) > self.size:
            raise WeightsError(
                f"it asks for {total:,} bytes of numbers and has {self.size:,} bytes"
            )
        return _Thing("made", "storage")

    def _call(self, function: _Thing, arguments: _Thing) -> _Thing:
        _expect(arguments, "tuple", "calls something with")
        kinds = tuple(part.kind for part in arguments.parts)
        name = function.value if function.kind == "global" else None
        if name == "collections OrderedDict" and kinds == ():
            return _Thing("dict", "ordered")
        if name == "torch Size" and kinds == ("tuple",):
            self._check_largest(arguments)
            return arguments.parts[0]
        if name == "torch._utils _rebuild_tensor_v2" and kinds[:1] == ("made",):
            self._check_largest(arguments)
            if arguments.parts[0].value == "storage":
                return _Thing("made", "tensor")
        if name == "torch._utils _rebuild_parameter" and kinds[:1] == ("made",):
            return _Thing("made", "tensor")
        raise _refused(f"it calls {str(name)[:80]!r} with {len(kinds)} values")

    def _check_largest(self, given: _Thing) -> None:
        if given.largest > self.size:
            raise WeightsError(f"it asks for {given.largest:,} numbers and has {self.size:,} bytes")

    def _build(self, state: _Thing, thing: _Thing) -> None:
        """Allow what torch keeps beside a dict of tensors, and nothing that hides its methods."""
        if thing.value != "ordered" or state.kind != "dict" or state.keys - {"_metadata"}:
            raise _refused(f"it changes a {thing.kind}")


TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
"""Operations that make a tuple of so many things."""
HANDLERS: dict[str, Callable[[_Reader, Any], None]] = {
    "BINPUT": _Reader._remember,
    "LONG_BINPUT": _Reader._remember,
    "BINGET": _Reader._recall,
    "LONG_BINGET": _Reader._recall,
    "SETITEM": _Reader._set_item,
    "SETITEMS": _Reader._set_items,
    "APPEND": _Reader._append,
    "APPENDS": _Reader._append_all,
    "BINPERSID": _Reader._refer,
    "REDUCE": _Reader._reduce,
    "BUILD": _Reader._change,
    "PROTO": _Reader._check_protocol,
}
"""Every other operation that is allowed."""


def _tuple(parts: list[_Thing]) -> _Thing:
    weight = 1 + sum(part.weight for part in parts if part.kind == "tuple") + len(parts)
    if weight > WEIGHT:
        raise _refused(f"it has a tuple of {weight:,} parts")
    largest = max((part.largest for part in parts), default=0)
    return _Thing("tuple", None, tuple(parts), weight, largest)


def _add_items(target: _Thing, items: list[_Thing]) -> None:
    _expect(target, "dict", "adds items to")
    for key in items[::2]:
        if key.kind not in ("text", "number"):
            raise _refused(f"a key of a dict in it is a {key.kind}, not text")
        if key.kind == "text":
            target.keys.add(key.value)


def _expect(thing: _Thing, kind: Kind, what: str) -> None:
    if thing.kind != kind:
        raise _refused(f"it {what} a {thing.kind}")


def _refused(reason: str) -> WeightsError:
    return WeightsError(f"it is no plain dict of tensors: {reason}. Nothing in it was run")
