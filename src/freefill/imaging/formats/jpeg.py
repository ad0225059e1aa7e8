"""JPEG: its segments, kept byte for byte, and what of them would be wrong in the result.

ITU-T T.81, annex B (segments); JFIF 1.02; CIPA DC-008 (EXIF) and DC-007 (several pictures).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from freefill.errors import ImageError, plural
from freefill.imaging.formats.metadata import (
    clean_exif,
    clean_photoshop,
    clean_xmp,
    only_orientation,
    resized_exif,
    resized_xmp,
)

START = b"\xff\xd8"
APP0, APP1, APP2, APP11, APP13, APP14, COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE
SCAN, END = 0xDA, 0xD9
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
PHOTOSHOP = b"Photoshop 3.0\0"
ICC = b"ICC_PROFILE\0"
SEVERAL = b"MPF\0"
GAIN_MAP = b"urn:iso:std:iso:ts:21496:"
SIGNED = b"JP"
RGB = b"\0"
"""In Adobe's segment: colours are stored as they are."""


MAX_SEGMENTS = 10_000
"""Segments in front of the pixels. Each has up to 64 kB."""
MAX_FILL = 4096
"""Bytes between segments that Pillow, which reads them one by one, is shown."""
FEW_SCANS, MAX_SCANS = 20, 100
"""Passes over the pixels: encoders make about ten. Up to so many are always decoded, and ever."""
WORK_PER_BYTE = 300
"""Pixels times scans that a byte may stand for, where there are many scans. A photo with 60 of them
has about 100."""
SMALL_WORK = 50_000_000
"""Pixels times scans that are decoded anyway, in a fraction of a second."""

# Bytes between segments, and inside a scan, that are no marker with a length.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class Segment(NamedTuple):
    """A piece of a JPEG with a marker and a length."""

    marker: int
    content: bytes

    @property
    def about(self) -> bool:
        """Whether it says something about the picture, instead of how to decode it."""
        return APP0 <= self.marker <= 0xEF or self.marker == COMMENT


def segments(content: bytes) -> tuple[list[Segment], int]:
    """Read the segments in front of the first scan.

    Args:
        content: The file.

    Returns:
        The segments, and the place of the scan's marker.

    Raises:
        ImageError: If they are cut off, or too many.
    """
    found: list[Segment] = []
    place = 2
    # Decoders step over what is no marker, and so must this.
    while (matched := _MARKER.search(content, place)) and matched.start() <= len(content) - 4:
        place = matched.start()
        marker = content[place + 1]
        if marker == SCAN:
            return found, place
        if len(found) == MAX_SEGMENTS:
            raise ImageError(
                f"it has more than {MAX_SEGMENTS} segments in front of its pixels: it was made to "
                "do harm"
            )
        (size,) = struct.unpack_from(">H", content, place + 2)
        found.append(Segment(marker, content[place + 4 : place + 2 + size]))
        place += 2 + size
    raise ImageError(
        f"it ends after {plural(len(content), 'byte')}, before its pixels: it is truncated"
    )


def checked(content: bytes) -> bytes:
    """Refuse a JPEG that takes far longer to decode than its bytes tell.

    Args:
        content: The file.

    Returns:
        What a decoder that reads byte by byte is to see: the file, or it without what fills up the
        room between its segments.

    Raises:
        ImageError: If it goes over its pixels too often.
    """
    found, place = segments(content)
    scans = sum(marker == SCAN for marker, _ in _markers(content, place))
    size = next((s.content[1:5] for s in found if s.marker in FRAMES), b"").ljust(4, b"\0")
    height, width = struct.unpack(">HH", size)
    work = scans * height * width
    allowed = max(SMALL_WORK, WORK_PER_BYTE * len(content))
    if scans > MAX_SCANS or (scans > FEW_SCANS and work > allowed):
        raise ImageError(
            f"its {len(content)} bytes go over {width}x{height} pixels {scans} times: it was made "
            "to do harm"
        )
    told = sum(len(segment.content) + 4 for segment in found)
    return START + written(found) + content[place:] if place - told > MAX_FILL else content


class Frame(NamedTuple):
    """How the pixels are coded."""

    marker: int
    """0xC0: baseline, 0xC2: progressive, ..."""
    depth: int
    """Bits of a sample."""
    factors: list[tuple[int, int]]
    """How many samples each channel has, across and down, in the unit that all share."""


def frame(found: list[Segment]) -> Frame:
    """Find the frame among the segments.

    Raises:
        ImageError: If there is none.
    """
    for marker, content in found:
        if marker in FRAMES and len(content) >= 6 + 3 * content[5]:
            sizes = [content[7 + 3 * i] for i in range(content[5])]
            return Frame(marker, content[0], [(size >> 4, size & 15) for size in sizes])
    raise ImageError("it has no frame: it is damaged")


def written(found: list[Segment]) -> bytes:
    """Give segments as they stand in a file."""
    return b"".join(
        struct.pack(">BBH", 0xFF, s.marker, len(s.content) + 2) + s.content for s in found
    )


def kept_segments(
    found: list[Segment],
    *,
    orientation: int,
    same_coding: bool,
    strip: bool,
    size: tuple[int, int] | None = None,
) -> tuple[list[Segment], list[str]]:
    """Choose what goes into the result, and mend what would be wrong there.

    Args:
        found: The segments of the source.
        orientation: What the result is to say about how it has to be turned.
        same_coding: Whether colours are coded as in the source: what says how they are then goes
            along, else the writer's own does.
        strip: Whether to leave out what tells about people, places and programs.
        size: Height and width of the result, if they are other ones.

    Returns:
        The segments, and lines that a person should read.
    """
    kept: list[Segment] = []
    notices: list[str] = []
    for segment in found:
        marker, content = segment
        if not segment.about:
            continue
        if marker == APP11 and content.startswith(SIGNED):
            if not notices:
                notices.append("its content credentials (C2PA) are left out: an edit voids them")
        elif marker in (APP0, APP14):
            kept += _about_coding(segment) if same_coding else []
        elif marker == APP2 and content.startswith((SEVERAL, GAIN_MAP)):
            # Where further pictures lie in the file, and what for: they are not written.
            continue
        elif not strip or (marker == APP2 and content.startswith(ICC)):
            kept.append(_resized(Segment(marker, _mended(segment, orientation)), size))
    if strip and orientation > 1:
        kept.append(Segment(APP1, EXIF + only_orientation(orientation)))
    return kept, notices


def _resized(segment: Segment, size: tuple[int, int] | None) -> Segment:
    marker, content = segment
    if size is None or marker != APP1:
        return segment
    if content.startswith(XMP):
        return Segment(marker, resized_xmp(content, size))
    return Segment(marker, resized_exif(content, size) if content.startswith(EXIF) else content)


def _about_coding(segment: Segment) -> list[Segment]:
    marker, content = segment
    if marker == APP14:
        return [segment]
    # Of JFIF the part before its preview; JFXX is a preview and nothing else.
    return [Segment(marker, content[:12] + b"\0\0")] if content.startswith(b"JFIF\0") else []


def _mended(segment: Segment, orientation: int) -> bytes:
    """Let EXIF and XMP say how the result is turned, and drop previews of the old picture."""
    marker, content = segment
    if marker == APP1 and content.startswith(EXIF):
        return clean_exif(content, orientation)
    if marker == APP1 and content.startswith(XMP):
        return XMP + clean_xmp(content[len(XMP) :], orientation)
    if marker == APP13 and content.startswith(PHOTOSHOP):
        return PHOTOSHOP + clean_photoshop(content[len(PHOTOSHOP) :])
    return content


def with_segments(content: bytes, about: list[Segment], *, keep_own: bool) -> bytes:
    """Replace what a JPEG says about its picture.

    Args:
        content: The JPEG.
        about: What is to stand in it.
        keep_own: Whether the JPEG's own JFIF and Adobe segments stay.

    Returns:
        The JPEG with the new segments, from its start to the end of its first picture.
    """
    own, place = segments(content)
    decoding = [s for s in own if not s.about]
    coding = [s for s in own if s.marker in (APP0, APP14)]
    if not keep_own and any(s.marker in (APP0, APP14) for s in about):
        coding = []
    elif not keep_own:
        # Of a source that tells RGB by the names of its channels, which writers do not keep.
        coding = [s for s in coding if s.marker == APP14 and s.content[11:12] == RGB]
    # JFIF has to come first.
    about = sorted(about, key=lambda segment: segment.marker != APP0)
    return START + written([*coding, *about, *decoding]) + content[place : _end(content, place)]


def followed_by(content: bytes, place: int) -> int:
    """Count the bytes after the first picture: a video, a gain map, what a phone adds.

    Args:
        content: The JPEG.
        place: Of its first scan.

    Returns:
        Their number; 0 if there are none but zeros, which only fill the file up.
    """
    rest = content[_end(content, place) :]
    return len(rest) if rest.strip(b"\0") else 0


def _end(content: bytes, place: int) -> int:
    """Find where the first picture ends: others, and what phones add, follow it."""
    for marker, at in _markers(content, place):
        if marker == END:
            return at + 2
    return len(content)


def _markers(content: bytes, place: int) -> Iterator[tuple[int, int]]:
    """Yield each marker from a place on, up to the end of the picture, and where it stands."""
    while matched := _IN_SCAN.search(content, place):
        place = matched.start()
        marker = content[place + 1]
        yield marker, place
        if marker == END or place + 4 > len(content):
            return
        (size,) = struct.unpack_from(">H", content, place + 2)
        place += 2 + size
