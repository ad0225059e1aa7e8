"""Changes of a file's bytes that have found faults before.

Bytes and numbers changed, pieces cut out, repeated and moved, ends cut off, two files joined. All
choices come from one ``random.Random``: a seed repeats them, and Hypothesis, which can be such a
generator, makes them as few as it can.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

INTERESTING = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)
CODES = ("<H", ">H", "<I", ">I", "<Q", ">Q")
KINDS = ("byte", "number", "digits", "cut", "repeat", "move", "end", "join")
MOST = 1 << 20
"""Bytes: repeating what was repeated would go on for ever."""


def mutate(rng: random.Random, source: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Change a file a few times.

    Args:
        rng: What chooses.
        source: The file.
        others: Files whose ends may take the place of its own.

    Returns:
        Something like it, of at most :data:`MOST` bytes.
    """
    content = bytearray(source)
    for _ in range(rng.randint(1, 4)):
        if not content:
            break
        _change(rng, content, others)
    return bytes(content[:MOST])


def _change(rng: random.Random, content: bytearray, others: Sequence[bytes]) -> None:
    # Headers and tables, where faults are, lie at the ends.
    place = rng.randrange(len(content))
    near = place % min(200, len(content))
    place = rng.choice((place, near, len(content) - 1 - near))
    size = rng.randint(1, 64)
    kind = rng.choice(KINDS)
    if kind == "byte":
        content[place] = rng.randrange(256)
    elif kind == "number":
        code = rng.choice(CODES)
        size = struct.calcsize(code)
        number = rng.choice(INTERESTING) & (256**size - 1)
        content[place : place + size] = struct.pack(code, number)
    elif kind == "digits":
        _change_digits(rng, content, place)
    elif kind == "repeat":
        content[place:place] = content[place : place + size] * rng.choice((2, 50, 2000))
    elif kind == "end":
        del content[place:]
    elif kind == "join":
        other = rng.choice(others) if others else bytes(content)
        content[place:] = other[place % max(1, len(other)) :]
    else:
        piece = content[place : place + size]
        del content[place : place + size]
        if kind == "move":
            to = rng.randint(0, len(content))
            content[to:to] = piece


def _change_digits(rng: random.Random, content: bytearray, place: int) -> None:
    """Put another number where the next one that is written in digits stands."""
    start = next((i for i in range(place, len(content)) if chr(content[i]).isdigit()), None)
    if start is None:
        return
    end = start
    while end < len(content) and chr(content[end]).isdigit():
        end += 1
    content[start:end] = rng.choice((b"-1", b"0", b"1e999", b"NaN", b"65536", b"9" * 40))
