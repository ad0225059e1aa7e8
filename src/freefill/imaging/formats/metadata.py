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
    EXIF,
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


def is_exif(content: bytes) -> bool:
    """Whether a block can be EXIF: tags follow its name, if it has one.

    Some programs write the name twice. Readers do not agree on those: one that takes off two names
    would turn a picture that stood upright for all others.
    """
    return content.removeprefix(NAME)[:2] in (b"II", b"MM")


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


_TURN = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*))([1-8])")


def clean_xmp(content: bytes, orientation: int = 1) -> bytes:
    """Set the orientation that XMP tells; take out previews, and what announces more pictures."""
    clean = _TURN.sub(rb"\g<1>%d" % orientation, content)
    clean = _without(clean, b"<xmp:Thumbnails>", b"</xmp:Thumbnails>")
    # Pictures and videos behind the first are never written.
    for name in (b"Container:Directory", b"GContainer:Directory"):
        clean = _without(clean, b"<" + name, b"</" + name + b">")
    return _ANNOUNCED_INSIDE.sub(b"", _ANNOUNCED.sub(b"", clean))


_FOLLOWING = rb"(?:G?Camera:(?:MotionPhoto|MicroVideo)\w*|hdrgm:\w+)"
_ANNOUNCED = re.compile(rb"\s" + _FOLLOWING + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_ANNOUNCED_INSIDE = re.compile(rb"<(" + _FOLLOWING + rb")>[^<]*</\1>")
"""What says that a video (Motion Photo 1.0) or a gain map (Ultra HDR 1.0) follows the picture."""


def _without(content: bytes, start: bytes, end: bytes) -> bytes:
    """Take out what stands between marks, with them, in one go."""
    kept, place = [], 0
    while (first := content.find(start, place)) >= 0:
        last = content.find(end, first)
        if last < 0:
            break
        kept.append(content[place:first])
        place = last + len(end)
    return b"".join([*kept, content[place:]]) if kept else content


_SIZES_OF_EXIF = {256: 1, 257: 0, 40962: 1, 40963: 0}
"""Tags to which of height and width they tell."""


def resized_exif(content: bytes, size: tuple[int, int]) -> bytes:
    """Let an EXIF block tell another height and width, where it tells any.

    Args:
        content: The block, with or without ``Exif`` and two zeros in front.
        size: Height and width.

    Returns:
        A block of the same length.
    """
    name = NAME if content.startswith(NAME) else b""
    body = bytearray(content[len(name) :])
    order = {b"II": "<", b"MM": ">"}.get(bytes(body[:2]))
    if order is None:
        return content
    with suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}I", body, 4)
        folder = _resize(body, order, start, size)
        if folder:
            _resize(body, order, folder, size)
    return name + bytes(body)


def _resize(body: bytearray, order: str, start: int, size: tuple[int, int]) -> int:
    """Change one directory; give the place of the one of EXIF, 0 for none."""
    folder = 0
    (count,) = struct.unpack_from(f"{order}H", body, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        number, kind, amount, value = struct.unpack_from(f"{order}HHII", body, place)
        if number == EXIF and kind == LONG:
            folder = value
        elif number in _SIZES_OF_EXIF and kind in (SHORT, LONG) and amount == 1:
            struct.pack_into(f"{order}HII", body, place + 2, LONG, 1, size[_SIZES_OF_EXIF[number]])
    return folder


def resized_xmp(content: bytes, size: tuple[int, int]) -> bytes:
    """Let XMP tell another height and width, where it tells any; also of a panorama.

    A panorama's whole is made as large as its part needs.
    """
    for names, value in zip(_SIZES_OF_XMP, size, strict=True):
        content = names.sub(rb"\g<1>%d" % value, content)
    for axis, value in zip((b"Height", b"Width"), size, strict=True):
        first = b"Top" if axis == b"Height" else b"Left"
        offset = re.search(_told(rb"GPano:CroppedArea" + first + rb"Pixels"), content)
        least = value + (int(offset[2]) if offset else 0)
        whole = re.search(_told(rb"GPano:FullPano" + axis + rb"Pixels"), content)
        if whole and int(whole[2]) < least:
            content = content[: whole.start(2)] + b"%d" % least + content[whole.end(2) :]
    return content


def _told(name: bytes) -> bytes:
    """Give the pattern of a whole number that XMP tells: what is before it, and the number."""
    return rb"(" + name + rb"(?:\s*=\s*[\"']|\s*>\s*))(\d{1,9})(?=\s*[\"'<])"


_SIZES_OF_XMP = (
    re.compile(
        _told(rb"(?:exif:PixelYDimension|tiff:ImageLength|GPano:CroppedAreaImageHeightPixels)")
    ),
    re.compile(
        _told(rb"(?:exif:PixelXDimension|tiff:ImageWidth|GPano:CroppedAreaImageWidthPixels)")
    ),
)


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
