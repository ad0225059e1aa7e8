"""EXIF, XMP and Photoshop blocks: changed in place, and never a crash on what is damaged."""

from __future__ import annotations

import contextlib
import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from freefill.imaging.formats.ifd import BadDirectory, block, read_block
from freefill.imaging.formats.metadata import (
    clean_exif,
    clean_photoshop,
    clean_xmp,
    only_orientation,
)

ORIENTATION = 0x0112


def exif(orientation: int) -> bytes:
    found = Image.Exif()
    found[ORIENTATION], found[0x010F] = orientation, "A maker"
    found.get_ifd(0x8769)[0x9003] = "2020:02:02 20:20:20"
    return found.tobytes()


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_only_the_orientation_changes(orientation: int, named: bool) -> None:
    before = exif(orientation) if named else exif(orientation).removeprefix(b"Exif\0\0")
    after = clean_exif(before)
    found = Image.Exif()
    found.load(after)
    assert found[ORIENTATION] == 1
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(after, before, strict=True)) == (orientation != 1)
    assert clean_exif(after, orientation) == before


def test_a_block_of_orientation_alone() -> None:
    found = Image.Exif()
    found.load(only_orientation(7))
    assert dict(found) == {ORIENTATION: 7}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_blocks_keep_their_length(data: st.DataObject) -> None:
    content = bytearray(exif(6))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    assert len(clean_exif(cut)) == len(cut)
    try:
        again = block(read_block(cut))
    except BadDirectory:
        return
    assert read_block(again).tags.keys() == read_block(cut).tags.keys()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_noise_is_no_directory(content: bytes, start: bool) -> None:
    noise = b"II*\0\x08\0\0\0" + content if start else content
    assert len(clean_exif(noise)) == len(noise)
    assert isinstance(clean_photoshop(b"8BIM" + content), bytes)
    with contextlib.suppress(BadDirectory):
        read_block(noise)


@pytest.mark.parametrize(
    "text",
    ['<r tiff:Orientation="%d"/>', "<r tiff:Orientation = '%d'/>", "<tiff:Orientation>%d</tiff:x>"],
)
def test_xmp_says_what_it_is_told(text: str) -> None:
    for orientation in (1, 6):
        assert clean_xmp((text % 8).encode(), orientation) == (text % orientation).encode()
    other = b'<r tiff:OrientationX="8" note="tiff:Orientation"/>'
    assert clean_xmp(other) == other


def test_previews_in_xmp_go() -> None:
    xmp = b"<a/><xmp:Thumbnails><rdf:Alt>\n a picture </rdf:Alt></xmp:Thumbnails><b/>"
    assert clean_xmp(xmp) == b"<a/><b/>"


def test_resources_with_names_and_odd_lengths_are_walked() -> None:
    def resource(number: int, name: bytes, body: bytes) -> bytes:
        named = bytes([len(name)]) + name
        named += b"\0" * (len(named) % 2)
        return (
            b"8BIM"
            + struct.pack(">H", number)
            + named
            + struct.pack(">I", len(body))
            + body
            + (b"\0" * (len(body) % 2))
        )

    kept = [resource(1028, b"", b"IPTC!"), resource(1005, b"odd", b"1234"), resource(1, b"ab", b"")]
    preview = resource(1036, b"a name", b"the picture")
    assert clean_photoshop(kept[0] + preview + kept[1] + preview + kept[2]) == b"".join(kept)
    assert BytesIO(clean_photoshop(b"no resources at all")).read() == b"no resources at all"
