"""From samples to a file of a format: the source's own way of holding them wherever it can be."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from freefill.errors import FreefillError, ImageError, OutOfMemoryError
from freefill.imaging.codecs import Samples
from freefill.imaging.formats import heif, jpeg, jpeg_dct, png, tiff
from freefill.imaging.formats.ifd import Directory
from freefill.imaging.formats.metadata import NAME, is_exif, resized_exif, resized_xmp
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import eight_bits, pillow_image, save_jpeg, to_pillow
from freefill.imaging.rotate import undo_orientation

LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF")
COLOUR_ONLY = ("WEBP", "AVIF", "HEIF")
OPAQUE = ("JPEG", "MPO", "BMP")
DEEP = ("PNG", "TIFF")
SEGMENT = 65_500
"""Bytes that fit into a segment of JPEG, with a name in front."""
STRIPPED = ("exif", "xmp", "comment")
METADATA = {
    "icc_profile": "its colour profile",
    "exif": "its EXIF",
    "xmp": "its XMP",
    "dpi": "its resolution",
    "comment": "its comment",
}
"""What a picture is written without where it is damaged, and how a notice calls it."""

Result = tuple[bytes, list[str]]


def encode(picture: Picture, file_format: str, *, strip: bool = False) -> Result:
    """Encode a picture.

    Args:
        picture: The picture.
        file_format: Pillow's name, e.g. ``PNG``.
        strip: Whether to leave out EXIF, XMP, GPS, comments and texts. The colour profile and the
            resolution stay: without them the picture would look or print differently.

    Returns:
        The bytes, and lines that a person should read.

    Raises:
        ImageError: If the format cannot hold what the picture has.
        OutOfMemoryError: If there is not enough memory for it.
    """
    try:
        return _encode(picture, file_format, strip)
    except (FreefillError, OSError):
        raise
    except MemoryError:
        raise OutOfMemoryError(
            f"there is not enough memory to write {file_format} of {_size(picture)}: free some, or "
            "write fewer at a time"
        ) from None
    except Exception as error:  # what damaged metadata trip over is not known in advance
        reason = str(error) or type(error).__name__
        raise ImageError(f"{file_format} cannot be written: {reason}") from None


def _size(picture: Picture) -> str:
    height, width = picture.size
    return f"{width}x{height} pixels"


def _encode(picture: Picture, file_format: str, strip: bool) -> Result:
    notices: list[str] = []
    if file_format in ("JPEG", "MPO") and picture.source_metadata.jpeg is not None:
        return _jpeg_again(picture, strip, notices)
    picture = _resized(picture)
    samples, mode = _for_format(picture, file_format, notices)
    info = _info(picture, mode, strip)
    own = file_format == "PNG" and (picture.source_metadata.chunks or picture.format == "PNG")
    if not own and isinstance(info.get("exif"), bytes) and not is_exif(info["exif"]):
        del info["exif"]
        notices.append(f"{file_format}: its EXIF is damaged and left out")
    if file_format == "PNG":
        return _png(picture, samples, mode, info, strip, notices), notices
    if picture.source_metadata.chunks and not strip:
        _tell_texts(picture, file_format, notices)
    if file_format == "TIFF":
        return _tiff(picture, samples, mode, info, strip, notices), notices
    return _by_pillow(picture, samples, mode, file_format, info, notices), notices


def _has_new_size(picture: Picture) -> bool:
    """Whether height and width may be others than the source's metadata tell."""
    return picture.source_metadata.reencode or picture.source_metadata.orientation > 4


def _resized(picture: Picture) -> Picture:
    """Let the metadata tell the picture's height and width, where they tell other ones."""
    if not _has_new_size(picture):
        return picture
    source, info = picture.source_metadata, dict(picture.info)
    for key, change in (("exif", resized_exif), ("xmp", resized_xmp)):
        if isinstance(info.get(key), bytes):
            info[key] = change(info[key], picture.size)
    chunks = tuple(png.resized(list(source.chunks), picture.size))
    tags = None if source.tags is None else tiff.resized(source.tags, picture.size)
    metadata = replace(source, chunks=chunks, tags=tags)
    return replace(picture, info=info, source_metadata=metadata)


def _info(picture: Picture, mode: str, strip: bool) -> dict[str, Any]:
    """Give the metadata that still hold for samples of a mode."""
    info = dict(picture.info)
    if mode != picture.mode:
        # What describes the samples of the old mode would be wrong in the new one.
        info.pop("transparency", None)
        if picture.mode == "CMYK":
            info.pop("icc_profile", None)
    for key in STRIPPED if strip else ():
        info.pop(key, None)
    return info


def _for_format(picture: Picture, file_format: str, notices: list[str]) -> tuple[Samples, str]:
    """Give the samples and their mode as the format can hold them."""
    samples, mode = picture.samples, picture.mode
    # One colour, or palette entries, that stand for nothing.
    seen_through = "transparency" in picture.info and not picture.has_alpha
    if (picture.has_alpha or seen_through) and file_format in OPAQUE:
        raise ImageError(f"{file_format} holds no alpha channel: choose .png, .webp or .tif")
    if file_format == "GIF" and isinstance(picture.info.get("transparency"), bytes):
        notices.append("GIF holds no half transparent colours: each is seen, or not at all")
        samples = _one_hidden(picture)
    if seen_through and file_format not in ("PNG", "GIF"):
        notices.append(f"{file_format} holds no transparent colour: written with alpha")
        samples, mode = _with_alpha(picture)
    if file_format == "PNG" and samples.dtype.kind == "f":
        notices.append("PNG holds no floats: they are rounded to 16 bits")
        samples = np.rint(np.clip(samples, 0, 1).astype(np.float64) * 65535).astype(np.uint16)
    deep = file_format in DEEP or (file_format == "PPM" and mode == "I;16")
    if samples.dtype.itemsize > 1 and not deep:
        bits = samples.dtype.itemsize * 8
        notices.append(f"{file_format} holds 8 bits: the {bits} of the image are rounded")
        samples, mode = eight_bits(samples), "L" if mode == "I;16" else mode
    if (mode == "CMYK" and file_format not in ("JPEG", "TIFF")) or (
        mode == "P" and file_format in ("JPEG", "WEBP", "AVIF", "HEIF", "DDS")
    ):
        notices.append(f"{file_format} holds no {mode}: written as RGB")
        if samples.dtype == np.uint16:
            notices.append(f"{file_format}: the 16 bits of the {mode} are rounded to 8")
            samples = eight_bits(samples)
        image = pillow_image(samples, mode, picture.palette)
        return np.asarray(image.convert("RGB")), "RGB"
    if file_format == "GIF" and mode not in ("P", "L", "1"):
        notices.append("GIF holds 256 colours: pixels outside the hole change too")
    return samples, mode


def _hidden_entry(opacities: bytes) -> int | None:
    """Give the first palette entry that is nearer to transparent than to opaque."""
    return next((i for i, opacity in enumerate(opacities) if opacity < 128), None)


def _one_hidden(picture: Picture) -> Samples:
    """Let one palette entry stand for all that are rather transparent than opaque."""
    opacities = picture.info["transparency"]
    entry = _hidden_entry(opacities)
    table = np.array(
        [entry if i < len(opacities) and opacities[i] < 128 else i for i in range(256)], np.uint8
    )
    hidden: Samples = table[picture.samples]
    return hidden


def _with_alpha(picture: Picture) -> tuple[Samples, str]:
    """Make the transparent colour of a picture an alpha channel."""
    if picture.samples.dtype == np.uint16:
        channels = picture.samples.reshape(*picture.size, -1)
        hidden = np.all(channels == np.array(picture.info["transparency"]), axis=-1)
        alpha = np.where(hidden, 0, 65535).astype(np.uint16)
        both = np.concatenate([channels, alpha[..., None]], -1)
        return both, "LA" if both.shape[-1] == 2 else "RGBA"
    return np.asarray(to_pillow(picture).convert("RGBA")), "RGBA"


# --- PNG ----------------------------------------------------------------------------------------


def _png(
    picture: Picture,
    samples: Samples,
    mode: str,
    info: dict[str, Any],
    strip: bool,
    notices: list[str],
) -> bytes:
    hidden = info.get("transparency")
    if samples.dtype == np.uint16:
        flat = samples[..., 0] if samples.ndim == 3 and samples.shape[-1] == 1 else samples
        colour = None if hidden is None else (hidden,) if isinstance(hidden, int) else hidden
        content = png.encode_deep(flat, colour)
    else:
        options = {} if hidden is None else {"transparency": hidden}
        image = pillow_image(samples, mode, picture.palette)
        content = _saved(image, "PNG", mode, options)
    if not picture.source_metadata.chunks and picture.format != "PNG":
        return png.with_chunks(content, png.chunks_of(info))
    # Byte 25 of a PNG is the number for how its samples are stored.
    chunks, left = png.kept_chunks(
        list(picture.source_metadata.chunks),
        turned=picture.source_metadata.orientation > 1,
        same_mode=content[25] == picture.source_metadata.colour,
        strip=strip,
    )
    names = {chunk.name for chunk in chunks}
    if left:
        notices.append(
            f"PNG chunks that may depend on the old pixels are left out: {', '.join(left)}"
        )
    if picture.source_metadata.orientation > 1 and "exif" in info and b"eXIf" not in names:
        # It stood in a chunk of text, which says how to turn what is upright now.
        chunks += png.chunks_of({"exif": info["exif"]})
    if not names & {b"iCCP", b"sRGB", b"cICP"} and info.get("icc_profile"):
        chunks += png.chunks_of({"icc_profile": info["icc_profile"]})
    return png.with_chunks(content, chunks)


def _tell_texts(picture: Picture, file_format: str, notices: list[str]) -> None:
    """Say what of a PNG another format has no place for."""
    texts = [
        chunk.content.split(b"\0")[0].decode("latin-1")
        for chunk in picture.source_metadata.chunks
        if chunk.name in (b"tEXt", b"zTXt", b"iTXt")
        and not (chunk.content.startswith(png.XMP) and picture.info.get("xmp"))
    ]
    if texts:
        notices.append(f"{file_format} has no place for the texts of a PNG: {', '.join(texts)}")


# --- TIFF ---------------------------------------------------------------------------------------


def _tiff(
    picture: Picture,
    samples: Samples,
    mode: str,
    info: dict[str, Any],
    strip: bool,
    notices: list[str],
) -> bytes:
    source: Directory | None = picture.source_metadata.tags
    tags, lines = tiff.tags_of(info, source, strip=strip)
    notices += lines
    raw = picture.format == "TIFF" and info.get("compression") == "raw"
    return tiff.encode(samples, mode, tags, palette=picture.palette, compress=not raw)


# --- JPEG ---------------------------------------------------------------------------------------


def _jpeg_again(picture: Picture, strip: bool, notices: list[str]) -> Result:
    """Write what was a JPEG as a JPEG: only blocks with filled pixels are coded again."""
    content = picture.source_metadata.jpeg
    assert content is not None
    own, _ = jpeg.segments(content)
    orientation, changed = picture.source_metadata.orientation, picture.changed_mask
    reason = None
    if picture.source_metadata.reencode:
        reason = "size or angle of the picture have changed: all of it is encoded again"
    elif changed is not None:
        reason = jpeg_dct.why_not(content, picture.mode)
        if reason is None:
            samples = undo_orientation(picture.samples, orientation)
            try:
                content = jpeg_dct.replaced(
                    content, samples, undo_orientation(changed, orientation)
                )
            except OSError as error:
                # Without a number it is jpeglib's, where libjpeg gives up; else the disk's.
                if error.errno is not None:
                    raise
                reason = "it is damaged, and coded again as a whole"
    if reason is not None:
        notices.append(f"JPEG: {reason}")
        # Without the source's blocks nothing keeps the picture from being stored upright.
        orientation = 1
        info = {k: v for k, v in picture.info.items() if k not in (*STRIPPED, "icc_profile")}
        samples, mode = _for_format(picture, "JPEG", notices)
        content = _by_pillow(picture, samples, mode, "JPEG", info, notices)
    kept = reason is None
    size = picture.size if not kept and _has_new_size(picture) else None
    about, lines = jpeg.kept_segments(
        own, orientation=orientation, same_coding=kept, strip=strip, size=size
    )
    return jpeg.with_segments(content, about, keep_own=not kept), notices + lines


# --- the rest, by Pillow ------------------------------------------------------------------------


def _by_pillow(
    picture: Picture,
    samples: Samples,
    mode: str,
    file_format: str,
    info: dict[str, Any],
    notices: list[str],
) -> bytes:
    taken = ("icc_profile", "exif", "xmp", "dpi", "transparency", "comment")
    options = {k: info[k] for k in taken if k in info}
    if file_format in ("JPEG", "MPO"):
        if "exif" in options and not options["exif"].startswith(NAME):
            # WebP has EXIF without its name, by which it is known in a JPEG.
            options["exif"] = NAME + options["exif"]
        for key in ("exif", "xmp", "comment"):
            size = len(options.get(key, b""))
            if size > SEGMENT:
                options.pop(key)
                notices.append(f"JPEG has no room for {size} bytes of {key}: left out")
        if "qtables" in info and mode in ("L", "RGB", "CMYK"):
            kept = ("qtables", "subsampling", "progressive")
            options |= {k: info[k] for k in kept if k in info}
        else:
            options["quality"] = 95
    elif file_format == "WEBP":
        # What came from a lossless file, or from memory, must not lose in this one.
        lossy = picture.format in LOSSY and not info.get("lossless")
        options |= {"quality": 95} if lossy else {"lossless": True, "exact": True}
    elif file_format in ("AVIF", "HEIF"):
        options["quality"] = 90
        if file_format == "HEIF":
            # 6 to 8 times as fast as by default, at the same distance and up to 12 % more bytes.
            options["enc_params"] = {"preset": "ultrafast"}
    # Bytes 16 to 19 of a profile say which colours it is for.
    if file_format in COLOUR_ONLY and options.get("icc_profile", b"")[16:20] == b"GRAY":
        del options["icc_profile"]
        notices.append(f"{file_format} holds no grey: the profile, which is for grey, is left out")
    if file_format == "GIF" and isinstance(options.get("transparency"), bytes):
        entry = _hidden_entry(options.pop("transparency"))
        options |= {} if entry is None else {"transparency": entry}
    image = pillow_image(samples, mode, picture.palette)
    return _saved_with(image, file_format, picture.mode, options, notices)


def _saved_with(
    image: Image.Image,
    file_format: str,
    mode: str,
    options: dict[str, Any],
    notices: list[str],
) -> bytes:
    """Save, without the metadata that a format's writer trips over."""
    try:
        return _saved(image, file_format, mode, options)
    except ImageError:
        metadata = [key for key in METADATA if key in options]
        if not metadata:
            raise
    kept = {key: value for key, value in options.items() if key not in metadata}
    # Without any of them it has to work; then with each that works beside the others.
    content = _saved(image, file_format, mode, kept)
    for key in metadata:
        try:
            content = _saved(image, file_format, mode, kept | {key: options[key]})
        except ImageError:
            notices.append(f"{file_format}: {METADATA[key]} cannot be written: left out")
        else:
            kept[key] = options[key]
    return content


def has_writer(file_format: str) -> bool:
    """Tell whether files of a format can be written here.

    Pillow loads its writers when it first needs one, and HEIF's has to be given to it; a photo that
    another process has read has loaded neither in this one.

    Args:
        file_format: Pillow's name.

    Raises:
        ImageError: If it is HEIF and pillow-heif is not installed.
    """
    if file_format == "HEIF":
        heif.register("the photo")
    elif file_format not in Image.SAVE:
        Image.init()
    # MPO is a JPEG with more pictures behind it, of which only the first is filled.
    return file_format == "MPO" or file_format in Image.SAVE


def _saved(image: Image.Image, file_format: str, mode: str, options: dict[str, Any]) -> bytes:
    has_writer(file_format)
    buffer = BytesIO()
    try:
        if file_format in ("JPEG", "MPO"):
            save_jpeg(image, buffer, **options)
        else:
            image.save(buffer, file_format, **options)
    except MemoryError:
        raise
    except Exception as error:  # each format's writer has its own way of saying no
        raise ImageError(f"{mode} cannot be written as {file_format}: {error}") from None
    return buffer.getvalue()
