"""EXIF, XMP and Photoshop blocks: kept byte for byte, but for what would be wrong in the result.

Two things would be. A picture that was turned upright must not say that it has to be turned; and a
preview inside the metadata shows the picture before it was filled, with what somebody wanted gone.
Both are changed in place: a camera's own notes point at places in the block, so nothing may move.
"""

from __future__ import annotations

import re
import struct

from freefill.imaging.formats.ifd import LONG, ORIENTATION, SHORT, Directory, block, short

NAME = b"Exif\0\0"
PREVIEW_START, PREVIEW_LENGTH = 513, 514
THUMBNAILS = (1033, 1036)
"""Photoshop's numbers for a preview of the picture."""


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


def only_orientation(orientation: int) -> bytes:
    """Give an EXIF block that says how the picture is to be turned and nothing else."""
    return block(Directory(">", {ORIENTATION: short(">", orientation)}))


_TURN = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*))[1-8](?=\s*[\"'<])")
_PREVIEWS = re.compile(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", re.DOTALL)


def clean_xmp(content: bytes, orientation: int = 1) -> bytes:
    """Set the orientation that XMP tells, where it does, and take its previews out."""
    turned = _TURN.sub(rb"\g<1>%d" % orientation, content)
    return _PREVIEWS.sub(b"", turned)


def clean_photoshop(content: bytes) -> bytes:
    """Take the previews out of Photoshop's block of numbered resources.

    Args:
        content: Resources, each ``8BIM``, number, name, length and bytes.

    Returns:
        The others as they are; the whole block, if it cannot be understood.
    """
    kept, place = b"", 0
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
            kept += content[place:end]
        place = end
    return kept + content[place:]
