"""The checksums of FFV1: FFmpeg's decoder hides what does not fit them, and says so to nobody.

A packet of version 3 ends each of its slices with the slice's length, a byte of flags and, where
the encoder was asked to, a CRC (RFC 9043, section 4.9). The CRC is that of IEEE 802.3 from the
highest bit down, beginning with zero, so that it is zero over a slice with its own checksum.
"""

from __future__ import annotations

import zlib

TRAILER = 3 + 1 + 4
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""zlib's CRC goes from the lowest bit up."""


def slices_fit(packet: bytes) -> bool:
    """Whether all slices of a packet have checksums, and fit them.

    Args:
        packet: As it lies in the file.

    Examples:
        >>> slices_fit(bytes(8)), slices_fit(bytes(7) + b"x")
        (True, False)
    """
    stop = len(packet)
    while stop >= TRAILER:
        length = int.from_bytes(packet[stop - TRAILER : stop - TRAILER + 3], "big")
        start = stop - TRAILER - length
        if start < 0 or _crc(packet[start:stop]):
            return False
        stop = start
    return not stop and bool(packet)


def _crc(content: bytes) -> int:
    return zlib.crc32(content.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
