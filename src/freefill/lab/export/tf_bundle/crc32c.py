"""CRC-32C, the checksum of TensorFlow's checkpoints, at the speed of NumPy.

A CRC is linear: the register after a message is the exclusive or of what each of its words alone
leaves there, moved on over the words behind it. So the words need not be taken one after the other:
the first half of a message is moved on by the length of the second, all words at once, and joined
with it; then the same again with what is left, until one word is. Moving on by a power of two is a
matrix of 32 x 32 bits, applied as four tables of 256 words.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed."""
CHUNK = 4 * 2**20
"""Bytes that are taken at a time, so that memory does not grow with the message."""
MASK = 0xA282EAD8
WORD = np.dtype("<u4")


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Compute the CRC-32C of a message.

    Args:
        data: The message, contiguous.

    Returns:
        32 bits.

    Examples:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    view = memoryview(data).cast("B")
    crc = 0xFFFFFFFF
    for start in range(0, len(view), CHUNK):
        crc = _advance(crc, view[start : start + CHUNK])
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """Give a checksum as it is stored: turned and offset, so that it can itself be checksummed.

    Examples:
        >>> hex(masked(0))
        '0xa282ead8'
    """
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def _advance(crc: int, data: memoryview) -> int:
    odd = len(data) % 4
    table = _tables(0)[3]
    for byte in data[:odd]:
        crc = int(table[(crc ^ byte) & 0xFF]) ^ crc >> 8
    if odd == len(data):
        return crc
    words = np.frombuffer(data, WORD, offset=odd).astype(np.uint32)
    words[0] ^= np.uint32(crc)
    while (count := len(words)) > 1:
        level = (count - 1).bit_length() - 1
        step = 1 << level
        words[step:] ^= _move(words[: count - step], level)
        words = words[count - step :]
    return int(_move(words, 0)[0])


def _move(words: Words, level: int) -> Words:
    """Move words on over ``2 ** level`` words of zeros."""
    tables = _tables(level)
    octets = words.astype(WORD, copy=False).view(np.uint8).reshape(-1, 4)
    moved: Words = tables[0].take(octets[:, 0])
    for place in (1, 2, 3):
        moved ^= tables[place].take(octets[:, place])
    return moved


@lru_cache(maxsize=32)
def _tables(level: int) -> Words:
    """Give what each byte of a word becomes: ``(4, 256)`` by its place and value."""
    # What becomes of each single bit; every other value is an exclusive or of those.
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if level:
        bits = _move(_move(bits, level - 1), level - 1)
    else:
        for _ in range(32):
            bits = bits >> np.uint32(1) ^ np.where(
                bits & np.uint32(1), np.uint32(POLYNOMIAL), np.uint32(0)
            )
    tables: Words = np.zeros((4, 256), np.uint32)
    for value in range(1, 256):
        low = value & -value
        tables[:, value] = tables[:, value ^ low] ^ bits[low.bit_length() - 1 :: 8]
    return tables
