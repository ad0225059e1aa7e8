"""Photos that show the same: a perceptual hash, and an exact search among millions of hashes.

The hash is the 64-bit pHash as ``imagehash`` computes it: which of the 64 lowest frequencies of
the brightness, on 32x32 pixels, are above their median. Size, compression and brightness leave it
nearly as it is. It knows nothing of colour.
"""

from __future__ import annotations

from array import array
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
BANDS, BITS = 4, 16
MAX_DISTANCE = 12
"""The largest distance that can be searched: unrelated photos are often not much further apart."""
STEP = 1 / 256
"""Frequencies are compared in steps of this (of grey levels), so that those that are equal but for
rounding, as in a picture of one colour, give the same hash on every machine."""


def _cosines() -> NDArray[np.float64]:
    """Give the 8 lowest waves of a DCT-II of 32 samples, ``(8, 32)``."""
    waves, places = np.arange(8)[:, None], np.arange(SIDE)
    return 2 * np.cos(np.pi * waves * (2 * places + 1) / (2 * SIDE))


_COSINES = _cosines()


def perceptual_hash(image: Image.Image) -> int:
    """Compute the pHash of a picture.

    Args:
        image: Any picture in a mode that can become grey.

    Returns:
        64 bits, the first of them (the mean brightness) the highest; ``f"{value:016x}"`` is how
        ``imagehash`` writes it.
    """
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    low = _COSINES @ np.asarray(grey, np.float64) @ _COSINES.T
    steps = np.rint(low / STEP)
    bits = np.packbits(steps > np.median(steps))
    return int.from_bytes(bits.tobytes(), "big")


class NearHashes:
    """Finds the nearest of the hashes that it was given, up to a distance, and misses none.

    A hash is cut into 4 bands of 16 bits, and each band has a table from its value to the hashes
    that have it. Looked up are, in band ``i``, the values at most ``r[i]`` bits away, where the
    ``r[i] + 1`` add up to ``d + 1``: a hash that is missed in every band differs in at least
    ``r[i] + 1`` bits of each, so in more than ``d`` (pigeonhole). For 4 bits ``r`` is 0, 0, 0, 1:
    20 values, under which one in a thousand of the hashes stands.

    Memory: 35 bytes a hash, and some 10 MB.

    Args:
        distance: The largest Hamming distance that counts, 0 to 12 bits.

    Raises:
        ValueError: If the distance is another.
    """

    def __init__(self, distance: int) -> None:
        if not 0 <= distance <= MAX_DISTANCE:
            raise ValueError(f"distance is 0 to {MAX_DISTANCE} bits, not {distance}")
        self.distance = distance
        self._hashes = array("Q")
        self._tables: list[list[array[int] | None]] = [[None] * 2**BITS for _ in range(BANDS)]
        self._flips = [_flips(radius) for radius in _radii(distance)]

    def __len__(self) -> int:
        """Count the hashes."""
        return len(self._hashes)

    def add(self, value: int) -> int:
        """Add a hash.

        Args:
            value: 64 bits.

        Returns:
            Its number: how many there were before it.
        """
        number = len(self._hashes)
        self._hashes.append(value)
        for table, part in zip(self._tables, _bands(value), strict=True):
            numbers = table[part]
            if numbers is None:
                table[part] = array("I", (number,))
            else:
                numbers.append(number)
        return number

    def nearest(self, value: int) -> tuple[int, int] | None:
        """Find the hash that differs least.

        Args:
            value: 64 bits.

        Returns:
            Its number, the lowest where several are equally near, and its distance in bits;
            ``None`` if none is within the distance.
        """
        near = [
            numbers
            for table, flips, part in zip(self._tables, self._flips, _bands(value), strict=True)
            for flip in flips
            if (numbers := table[part ^ flip]) is not None
        ]
        if not near:
            return None
        candidates = np.frombuffer(b"".join(near), np.uint32)
        # The view lives only inside this call: an array with a view on it cannot grow.
        hashes = np.frombuffer(self._hashes, np.uint64)
        distances = count_bits(hashes[candidates] ^ np.uint64(value))
        least = int(distances.min())
        if least > self.distance:
            return None
        return int(candidates[distances == least].min()), least


def count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the ones in each number of 64 bits.

    Args:
        values: Any shape.

    Returns:
        The counts, of the same shape.
    """
    if hasattr(np, "bitwise_count"):
        counted: NDArray[np.uint8] = np.bitwise_count(values)
        return counted
    return count_bits_by_sums(values)


def count_bits_by_sums(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count as :func:`count_bits` does, where NumPy is older than 2: sums of 2, 4 and 8 bits."""
    pairs = values - ((values >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + (
        (pairs >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    bytes_ = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    sums: NDArray[np.uint64] = (bytes_ * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return sums.astype(np.uint8)


def _bands(value: int) -> tuple[int, int, int, int]:
    return value >> 48, value >> 32 & 0xFFFF, value >> 16 & 0xFFFF, value & 0xFFFF


def _radii(distance: int) -> list[int]:
    """Share out the bits in which bands may differ; -1 where a band need not be looked at.

    The last bands get more: the first one holds the lowest frequencies, in which photos are most
    alike, so that many hashes stand under each of its values.
    """
    every, more = divmod(distance + 1, BANDS)
    return [every - 1 + (band >= BANDS - more) for band in range(BANDS)]


def _flips(radius: int) -> list[int]:
    """Give what turns a value of a band into all those within a radius."""
    counts = range(radius + 1)
    return [sum(1 << bit for bit in bits) for n in counts for bits in combinations(range(BITS), n)]
