"""JPEG to JPEG: what the hole does not touch stays, bit for bit; so does what is said about it."""

from __future__ import annotations

import struct
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import jpeglib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from freefill.errors import ImageError
from freefill.imaging.box import Box
from freefill.imaging.formats.jpeg import Segment, segments, written
from freefill.imaging.formats.jpeg_dct import why_not
from freefill.imaging.io import encode, read_picture
from freefill.imaging.picture import Picture
from freefill.types import Mask

Photo = NDArray[np.uint8]
ORIENTATION, MAKE = 0x0112, 0x010F


def encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def refilled(source: bytes, hole: Mask, colours: NDArray[np.float32] | None = None) -> Picture:
    """Fill the hole, which is that of the upright picture."""
    picture = read_picture(source)
    assert picture.size == hole.shape
    if colours is None:
        colours = np.random.default_rng(3).random((*hole.shape, 3), np.float32)
    return picture.filled([(Box.whole(hole.shape), hole, colours)], False)


def coefficients(content: bytes, folder: Path) -> list[NDArray[np.int16]]:
    path = folder / "read.jpg"
    path.write_bytes(content)
    image = jpeglib.read_dct(str(path))
    found = [image.Y] + ([image.Cb, image.Cr] if image.has_chrominance else [])
    return [plane.copy() for plane in found]


def check_untouched(before: bytes, after: bytes, hole: Mask, folder: Path) -> None:
    """Every coefficient of blocks without a pixel of the hole, as it lies in the file."""
    was, now = coefficients(before, folder), coefficients(after, folder)
    rows, columns = hole.shape
    changed = 0
    for old, new in zip(was, now, strict=True):
        assert old.shape == new.shape
        # Pixels that a block of this plane covers, from its number of blocks and that of Y's.
        down, across = (round(was[0].shape[i] / old.shape[i]) * 8 for i in (0, 1))
        touched = np.zeros(old.shape[:2], bool)
        for y in range(old.shape[0]):
            for x in range(old.shape[1]):
                part = hole[y * down : (y + 1) * down, x * across : (x + 1) * across]
                touched[y, x] = part.any()
        np.testing.assert_array_equal(new[~touched], old[~touched])
        changed += int((new != old).any((2, 3)).sum())
    assert changed > 0
    assert (rows, columns) == hole.shape


WAYS: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "4:2:0": {"subsampling": 2},
    "rough": {"quality": 30},
    "fine": {"quality": 99, "subsampling": 0},
    "progressive": {"progressive": True},
    "progressive 4:4:4": {"progressive": True, "subsampling": 0, "quality": 97},
    "restarts": {"restart_marker_blocks": 3},
    "RGB": {"keep_rgb": True},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_coefficient_that_the_hole_does_not_touch_stays(
    photo: Photo, hole: Mask, tmp_path: Path, way: str, mode: str
) -> None:
    if way == "RGB" and mode == "L":
        return
    # Sizes that no block divides.
    image = Image.fromarray(photo[:91, :117]).convert(mode)
    part = hole[:91, :117]
    source = encoded(image, **WAYS[way])
    content, notices = encode(refilled(source, part), "JPEG")
    assert notices == []
    check_untouched(source, content, part, tmp_path)

    before, after = opened(source), opened(content)
    assert (after.mode, after.size) == (before.mode, before.size)
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    assert after.info.get("progressive") == before.info.get("progressive")
    # Decoders smooth colour over the border of a block, so the same pixels begin a cell further.
    near = np.zeros_like(part)
    for y, x in np.argwhere(part):
        near[
            max(0, y // 16 * 16 - 2) : y // 16 * 16 + 18,
            max(0, x // 16 * 16 - 2) : x // 16 * 16 + 18,
        ] = True
    np.testing.assert_array_equal(np.asarray(after)[~near], np.asarray(before)[~near])
    assert (~near).mean() > 0.2


@pytest.mark.parametrize("way", ["4:4:4", "4:2:2", "4:2:0", "progressive", "RGB"])
def test_new_blocks_show_what_was_filled(photo: Photo, hole: Mask, way: str) -> None:
    source = encoded(Image.fromarray(photo), **({"quality": 97} | WAYS[way]))
    smooth = np.linspace(0.2, 0.8, photo.shape[1], dtype=np.float32)
    colours = np.stack([np.tile(smooth, (photo.shape[0], 1)) * k for k in (1, 0.8, 0.5)], -1)
    picture = refilled(source, hole, colours.astype(np.float32))
    shown = np.asarray(opened(encode(picture, "JPEG")[0])).astype(float)
    wanted = picture.samples.astype(float)
    assert np.abs(shown - wanted)[hole].mean() < 3
    # Pillow's encoder, which codes all of it, is no nearer.
    image = Image.fromarray(picture.samples)
    options = {"qtables": picture.info["qtables"], "subsampling": picture.info["subsampling"]}
    if way == "RGB":
        options = {"quality": 97, "keep_rgb": True}
    peer = np.asarray(opened(encoded(image, **options))).astype(float)
    ours, theirs = (np.abs(x - wanted)[hole].mean() for x in (shown, peer))
    assert ours < 1.15 * theirs + 0.1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_stays_as_it_lies_with_its_flag(
    photo: Photo, hole: Mask, tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "A maker"
    source = encoded(Image.fromarray(photo[:91, :117]), exif=exif, quality=90)
    upright = np.asarray(ImageOps.exif_transpose(opened(source)))
    part = np.ascontiguousarray(hole[: upright.shape[0], : upright.shape[1]])
    if part.shape != upright.shape[:2]:
        part = np.ascontiguousarray(hole.T[: upright.shape[0], : upright.shape[1]])
    picture = refilled(source, part)
    np.testing.assert_array_equal(picture.samples[~part], upright[~part])

    content, notices = encode(picture, "JPEG")
    assert notices == []
    after = opened(content)
    assert after.getexif()[ORIENTATION] == orientation
    assert after.getexif()[MAKE] == "A maker"
    assert after.size == (117, 91)
    # The hole as it lies in the file, turned back by Pillow.
    flags = Image.fromarray(part.astype(np.uint8))
    back = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, 1)
    tag = Image.Exif()
    tag[ORIENTATION] = back
    turned = np.asarray(ImageOps.exif_transpose(opened_png(flags, tag))) > 0
    check_untouched(source, content, turned, tmp_path)
    # Another format holds it upright.
    png = opened(encode(picture, "PNG")[0])
    np.testing.assert_array_equal(np.asarray(png), picture.samples)
    assert png.getexif().get(ORIENTATION, 1) == 1


def opened_png(image: Image.Image, exif: Image.Exif) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return Image.open(BytesIO(buffer.getvalue()))


def test_a_photo_without_a_hole_is_the_same_picture(photo: Photo) -> None:
    source = encoded(Image.fromarray(photo), progressive=True, restart_marker_blocks=5)
    empty = np.zeros(photo.shape[:2], bool)
    assert encode(refilled(source, empty), "JPEG") == (source, [])


def test_filling_twice_touches_both_holes(photo: Photo, tmp_path: Path) -> None:
    source = encoded(Image.fromarray(photo))
    holes = np.zeros((2, *photo.shape[:2]), bool)
    holes[0, 10:20, 10:20] = holes[1, 70:80, 90:100] = True
    picture = refilled(source, holes[0])
    colours = np.zeros((*photo.shape[:2], 3), np.float32)
    picture = picture.filled([(Box.whole(photo.shape[:2]), holes[1], colours)], False)
    content, _ = encode(picture, "JPEG")
    check_untouched(source, content, holes.any(0), tmp_path)
    assert np.asarray(opened(content))[73:77, 93:97].mean() < 40


# --- where coefficients cannot be kept ----------------------------------------------------------


def test_without_the_library_tables_and_metadata_stay_and_the_extra_is_named(
    photo: Photo, hole: Mask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jpeglib", None)
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "A maker"
    source = encoded(
        Image.fromarray(photo.transpose(1, 0, 2)[::-1]), exif=exif, subsampling=1, progressive=True
    )
    content, notices = encode(refilled(source, hole), "JPEG")
    assert len(notices) == 1
    assert "freefill[jpeg]" in notices[0]
    before, after = opened(source), opened(content)
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    assert after.info["progressive"]
    assert after.size == photo.shape[1::-1]
    assert after.getexif()[ORIENTATION] == 1
    assert after.getexif()[MAKE] == "A maker"
    # Where nothing was filled the library is not needed.
    empty = np.zeros_like(hole)
    assert opened(encode(refilled(source, empty), "JPEG")[0]).size == photo.shape[1::-1][::-1]


@pytest.mark.parametrize(
    ("place", "value", "word"), [(6, 0x31, "sizes"), (6, 0x32, "sizes"), (0, 12, "12 bits")]
)
def test_what_cannot_be_kept_is_said(photo: Photo, place: int, value: int, word: str) -> None:
    source = bytearray(encoded(Image.fromarray(photo), subsampling=2))
    frame = source.index(b"\xff\xc0") + 4
    # The last channel twice as wide as a third of the first; or deeper than 8 bits.
    source[frame + 7 if place else frame] = value
    if place:
        source[frame + 10] = 0x21
    reason = why_not(bytes(source), "RGB")
    assert reason is not None
    assert word in reason


def test_a_file_that_the_library_gives_up_on_is_coded_again(
    photo: Photo, hole: Mask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gives_up(*arguments: object) -> bytes:
        raise OSError("writing DCT failed")

    monkeypatch.setattr("freefill.imaging.formats.jpeg_dct.replaced", gives_up)
    source = encoded(Image.fromarray(photo), quality=90)
    content, notices = encode(refilled(source, hole), "JPEG")
    assert notices == ["JPEG: it is damaged, and coded again as a whole"]
    assert opened(content).quantization == opened(source).quantization  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", ["4:2:0", "progressive", "restarts"])
def test_damaged_files_are_filled_or_refused_but_never_crash(
    photo: Photo, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = encoded(Image.fromarray(photo), **WAYS[way])
    rng = np.random.default_rng(2)
    done = 0
    for _ in range(60):
        content = bytearray(source)
        for place in rng.integers(2, len(content), 2):
            content[place] = rng.integers(256)
        try:
            picture = read_picture(bytes(content), max_pixels=1_000_000)
        except ImageError:
            continue
        hole = np.zeros(picture.size, bool)
        hole[5:9, 5:9] = True
        written, _ = encode(refilled(bytes(content), hole), "JPEG")
        assert opened(written).size == opened(bytes(content)).size
        done += 1
    assert done > 10
    # jpeglib copies a photo to a file, which is somebody's photo.
    assert list(tmp_path.iterdir()) == []


def test_metadata_that_a_segment_cannot_hold_are_left_out_with_a_notice(photo: Photo) -> None:
    exif = Image.Exif()
    exif[0x010E] = "long " * 20_000
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "PNG", exif=exif)
    content, notices = encode(read_picture(buffer.getvalue()), "JPEG")
    assert not opened(content).getexif()
    assert any("no room" in line and "exif" in line for line in notices)


def test_ink_is_coded_again_and_it_is_said(photo: Photo, hole: Mask) -> None:
    profile = b"a profile for ink" * 30
    source = encoded(Image.fromarray(photo).convert("CMYK"), icc_profile=profile, quality=95)
    content, notices = encode(refilled(source, hole), "JPEG")
    assert any("CMYK" in line for line in notices)
    before, after = opened(source), opened(content)
    assert after.mode == "CMYK"
    assert after.info["icc_profile"] == profile
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    far = np.s_[:, :24]
    drift = np.abs(np.asarray(after).astype(float)[far] - np.asarray(before).astype(float)[far])
    assert drift.mean() < 4


# --- segments -----------------------------------------------------------------------------------


def with_segments(source: bytes, about: list[Segment]) -> bytes:
    """Put segments behind the first one, which is JFIF's."""
    return source[:20] + written(about) + source[20:]


def about(content: bytes) -> list[Segment]:
    return [segment for segment in segments(content)[0] if segment.about]


KEPT = [
    Segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>rating 5</x:xmpmeta>"),
    Segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40),
    Segment(0xE2, b"ICC_PROFILE\0\1\2first"),
    Segment(0xE2, b"ICC_PROFILE\0\2\2second"),
    Segment(0xE3, b"somebody's own"),
    Segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x06caption"[:-1]),
    Segment(0xFE, b"a comment"),
    Segment(0xFE, b"another, \xff\xd9 with markers in it"),
]


def test_segments_are_kept_byte_for_byte_and_in_order(photo: Photo, hole: Mask) -> None:
    source = with_segments(encoded(Image.fromarray(photo), dpi=(240, 240)), KEPT)
    content, notices = encode(refilled(source, hole), "JPEG")
    assert notices == []
    assert about(content) == about(source)
    assert opened(content).info["dpi"] == (240, 240)


def test_strip_keeps_colour_and_resolution_alone(photo: Photo, hole: Mask) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 8, "A maker"
    source = with_segments(encoded(Image.fromarray(photo), exif=exif, dpi=(240, 240)), KEPT)
    picture = refilled(source, hole.T)
    content, _ = encode(picture, "JPEG", strip=True)
    left = about(content)
    assert [s for s in left if s.marker == 0xE2] == [s for s in KEPT if s.marker == 0xE2]
    assert {s.marker for s in left} == {0xE0, 0xE1, 0xE2}
    after = opened(content)
    assert dict(after.getexif()) == {ORIENTATION: 8}
    assert after.info["dpi"] == (240, 240)
    assert b"A maker" not in content
    assert b"comment" not in content
    stripped = opened(encode(picture, "PNG", strip=True)[0])
    assert not stripped.getexif()


def thumbnail_exif() -> bytes:
    """EXIF whose second directory is a preview, with a tag that points past it."""
    first = struct.pack(">HHHIHH", 2, ORIENTATION, 3, 1, 1, 0)
    first += struct.pack(">HHII", MAKE, 2, 8, 74) + struct.pack(">I", 38)
    second = struct.pack(">H", 2) + struct.pack(">HHII", 513, 4, 1, 82)
    second += struct.pack(">HHII", 514, 4, 1, 11) + bytes(4)
    body = b"MM\0*" + struct.pack(">I", 8) + first + second
    return b"Exif\0\0" + body.ljust(74, b"\0") + b"A maker\0" + b"the preview"


def test_a_preview_does_not_show_what_was_there(photo: Photo, hole: Mask) -> None:
    before = thumbnail_exif()
    image = Image.fromarray(photo)
    source = encoded(image, exif=before)
    content, _ = encode(refilled(source, hole), "JPEG")
    assert b"the preview" not in content
    (after,) = [s.content for s in about(content) if s.content.startswith(b"Exif")]
    # Nothing has moved: places that a camera's own notes tell stay right.
    assert len(after) == len(before)
    assert after[:6] + after[80:88] == before[:6] + b"A maker\0"
    assert opened(content).getexif()[MAKE] == "A maker"
    # The place of the second directory: of the preview, then of none.
    assert struct.unpack(">I", before[40:44]) == (38,)
    assert struct.unpack(">I", after[40:44]) == (0,)
    resources = b"8BIM\x04\x0c\0\0\0\0\0\x08preview!8BIM\x04\x04\0\0\0\0\0\x04text"
    source = with_segments(encoded(image), [Segment(0xED, b"Photoshop 3.0\0" + resources)])
    content, _ = encode(refilled(source, hole), "JPEG")
    assert b"preview!" not in content
    assert b"8BIM\x04\x04\0\0\0\0\0\x04text" in content


def test_a_second_picture_is_left_out_with_a_notice(photo: Photo, hole: Mask) -> None:
    image = Image.fromarray(photo)
    buffer = BytesIO()
    image.save(buffer, "MPO", save_all=True, append_images=[image], quality=90)
    picture = refilled(buffer.getvalue(), hole)
    assert any("2 frames" in line for line in picture.notices)
    content, _ = encode(picture, "JPEG")
    assert opened(content).format == "JPEG"
    assert not any(s.content.startswith(b"MPF\0") for s in about(content))
    assert content.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("target", ["JPEG", "PNG"])
def test_what_follows_a_picture_is_left_out_with_a_notice(
    photo: Photo, hole: Mask, target: str
) -> None:
    video = b"\0\0\0\x18ftypmp42 a short film"
    picture = refilled(encoded(Image.fromarray(photo)) + video, hole)
    assert any(f"{len(video)} bytes after its picture" in line for line in picture.notices)
    content, _ = encode(picture, target)
    assert b"a short film" not in content


def test_zeros_that_fill_a_file_up_are_not_worth_a_word(photo: Photo) -> None:
    assert not read_picture(encoded(Image.fromarray(photo)) + bytes(64)).notices


def test_credentials_that_an_edit_voids_are_left_out(photo: Photo, hole: Mask) -> None:
    source = with_segments(encoded(Image.fromarray(photo)), [Segment(0xEB, b"JP\0\1jumb")])
    content, notices = encode(refilled(source, hole), "JPEG")
    assert b"jumb" not in content
    assert any("C2PA" in line for line in notices)


def test_a_wide_profile_is_kept_and_its_colours_are_not_touched(photo: Photo, hole: Mask) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[60:64] = b"wide"
    source = encoded(Image.fromarray(photo), icc_profile=bytes(profile))
    vivid = np.zeros((*hole.shape, 3), np.float32)
    vivid[..., 1] = 1
    picture = refilled(source, hole, vivid)
    for target in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF"):
        after = opened(encode(picture, target)[0])
        assert after.info["icc_profile"] == bytes(profile)
        inside = np.asarray(after)[40:50, 55:70].reshape(-1, 3)
        # The fill's numbers are the file's own: no conversion to a narrower space.
        np.testing.assert_allclose(inside.mean(0), [0, 255, 0], atol=6)


@pytest.mark.parametrize("end", [2, 15, 200])
def test_segments_that_are_cut_off_are_refused(photo: Photo, end: int) -> None:
    with pytest.raises(ImageError, match="truncated"):
        segments(encoded(Image.fromarray(photo))[:end])


def test_what_is_no_marker_is_stepped_over(photo: Photo, hole: Mask) -> None:
    source = encoded(Image.fromarray(photo))
    odd = source[:20] + b"what is this\xff" + source[20:]
    assert segments(odd)[0] == segments(source)[0]
    np.testing.assert_array_equal(np.asarray(opened(odd)), np.asarray(opened(source)))
    assert encode(refilled(odd, hole), "JPEG") == encode(refilled(source, hole), "JPEG")
    with pytest.raises(ImageError, match="before its pixels"):
        segments(b"\xff\xd8nothing of the kind")


def without_markers(content: bytes, ids: bytes) -> bytes:
    """Leave out JFIF and Adobe, and name the channels."""
    found, place = segments(content)
    kept = [segment for segment in found if segment.marker not in (0xE0, 0xEE)]
    for i, (marker, body) in enumerate(kept):
        if marker in (0xC0, 0xC2):
            named = bytearray(body)
            named[6::3] = ids
            kept[i] = Segment(marker, bytes(named))
    # Scans name the channels, too.
    rest = bytearray(content[place:])
    assert rest[4] == 3
    rest[5:11:2] = ids
    return b"\xff\xd8" + written(kept) + bytes(rest)


@pytest.mark.parametrize("ids", [b"RGB", b"\1\2\3", b"\0\1\2"])
def test_colours_told_by_the_names_of_channels_are_kept(photo: Photo, ids: bytes) -> None:
    buffer = BytesIO()
    options: dict[str, Any] = {"keep_rgb": True} if ids == b"RGB" else {}
    Image.fromarray(photo).save(buffer, "JPEG", quality=95, subsampling=0, **options)
    source = without_markers(buffer.getvalue(), ids)
    hole = np.zeros(photo.shape[:2], bool)
    hole[40:60, 40:60] = True
    picture = refilled(source, hole)
    content, notices = encode(picture, "JPEG")
    assert notices == []
    before, after = np.asarray(opened(source)), np.asarray(opened(content))
    np.testing.assert_allclose(before.astype(int), photo.astype(int), atol=40)
    far = np.ones(hole.shape, bool)
    far[32:72, 32:72] = False
    np.testing.assert_array_equal(after[far], before[far])
