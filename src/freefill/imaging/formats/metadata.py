"""EXIF, XMP and Photoshop blocks: kept byte for byte, but for what would be wrong in the result.

Two things would be. A picture that was turned upright must not say that it has to be turned; and a
preview inside the metadata shows the picture before it was filled, with what somebody wanted gone.
Both are changed in place: a camera's own notes point at places in the block, so nothing may move.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress

from freefill.imaging.formats.ifd import (
    BYTE,
    LONG,
    ORIENTATION,
    SHORT,
    Directory,
    block,
    short,
)

NAME = b"Exif\0\0"
PREVIEW_START, PREVIEW_LENGTH = 513, 514
THUMBNAILS = (1033, 1036)
"""Photoshop's numbers for a preview of the picture."""
MAX_RESOURCES = 10_000
"""Photoshop's numbered resources that are kept. It writes fewer than a hundred."""


def clean_exif(content: bytes, orientation: int = 1) -> bytes:
    """Set the orientation of an EXIF block and blank its preview.

    Args:
        content: The block, with or without ``Exif`` and two zeros in front.
        orientation: What it is to say.

    Returns:
        A block of the same length. One that cannot be understood is given back as it is.
    """
    name = NAME if content.startswith(NAME) else b""
    body = bytearray(content[len(name) :])
    order = {b"II": "<", b"MM": ">"}.get(bytes(body[:2]))
    if order is None:
        return content
    try:
        (start,) = struct.unpack_from(f"{order}I", body, 4)
        (count,) = struct.unpack_from(f"{order}H", body, start)
        for i in range(count):
            place = start + 2 + 12 * i
            if struct.unpack_from(f"{order}H", body, place)[0] == ORIENTATION:
                struct.pack_into(f"{order}HII", body, place + 2, SHORT, 1, 0)
                struct.pack_into(f"{order}H", body, place + 8, orientation)
        end = start + 2 + 12 * count
        (following,) = struct.unpack_from(f"{order}I", body, end)
        if following:
            _blank_preview(body, order, following)
            struct.pack_into(f"{order}I", body, end, 0)
    except struct.error:
        pass
    return name + bytes(body)


def _blank_preview(body: bytearray, order: str, start: int) -> None:
    (count,) = struct.unpack_from(f"{order}H", body, start)
    found = {}
    for i in range(count):
        number, kind = struct.unpack_from(f"{order}HH", body, start + 2 + 12 * i)
        if number in (PREVIEW_START, PREVIEW_LENGTH) and kind == LONG:
            (found[number],) = struct.unpack_from(f"{order}I", body, start + 2 + 12 * i + 8)
    if len(found) == 2:
        first, last = found[PREVIEW_START], found[PREVIEW_START] + found[PREVIEW_LENGTH]
        last = min(last, len(body))
        body[first:last] = bytes(max(0, last - first))


def orientation_of(content: bytes) -> int | None:
    """Give the orientation that an EXIF block tells, as far as it can be read.

    Args:
        content: The block, with or without ``Exif`` and two zeros in front.

    Returns:
        Whatever number it tells; ``None`` if it tells none.
    """
    body = content.removeprefix(NAME)
    order = {b"II": "<", b"MM": ">"}.get(body[:2])
    if order is None:
        return None
    with suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}I", body, 4)
        (count,) = struct.unpack_from(f"{order}H", body, start)
        for i in range(count):
            place = start + 2 + 12 * i
            number, kind, amount = struct.unpack_from(f"{order}HHI", body, place)
            code = {BYTE: "B", SHORT: "H", LONG: "I"}.get(kind)
            if number == ORIENTATION and code and amount == 1:
                found: int = struct.unpack_from(order + code, body, place + 8)[0]
                return found
    return None


def xmp_orientation(content: bytes) -> int | None:
    """Give the orientation that XMP tells, ``None`` if it tells none."""
    found = _TURN.search(content)
    return int(found[2]) if found else None


def only_orientation(orientation: int) -> bytes:
    """Give an EXIF block that says how the picture is to be turned and nothing else."""
    return block(Directory(">", {ORIENTATION: short(">", orientation)}))


_TURN = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*))([1-8])(?=\s*[\"'<])")
_PREVIEWS, _END = b"<xmp:Thumbnails>", b"</xmp:Thumbnails>"


def clean_xmp(content: bytes, orientation: int = 1) -> bytes:
    """Set the orientation that XMP tells, where it does, and take its previews out."""
    turned = _TURN.sub(rb"\g<1>%d" % orientation, content)
    kept, place = [], 0
    while (start := turned.find(_PREVIEWS, place)) >= 0:
        end = turned.find(_END, start)
        if end < 0:
            break
        kept.append(turned[place:start])
        place = end + len(_END)
    return b"".join([*kept, turned[place:]]) if kept else turned


def clean_photoshop(content: bytes) -> bytes:
    """Take the previews out of Photoshop's block of numbered resources.

    Args:
        content: Resources, each ``8BIM``, number, name, length and bytes.

    Returns:
        The others as they are, up to :data:`MAX_RESOURCES` in all; the whole block, if it cannot be
        understood.
    """
    kept: list[bytes] = []
    place = walked = 0
    while place + 12 <= len(content):
        if content[place : place + 4] != b"8BIM":
            return content
        (number,) = struct.unpack_from(">H", content, place + 4)
        named = content[place + 6] + 1
        data = place + 6 + named + named % 2
        if data + 4 > len(content):
            return content
        (size,) = struct.unpack_from(">I", content, data)
        end = data + 4 + size + size % 2
        if number not in THUMBNAILS:
            kept.append(content[place:end])
        place, walked = end, walked + 1
        if walked == MAX_RESOURCES:
            return b"".join(kept)
    return b"".join([*kept, content[place:]])
