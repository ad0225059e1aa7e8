"""From a file to samples: all bits, turned upright, and what has to be carried to the result."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from freefill.errors import ImageError
from freefill.imaging.codecs import CODECS, NOTED, Samples
from freefill.imaging.formats import heif, high_bit_depth, jpeg, limits, png, tiff, tiff_float
from freefill.imaging.formats.ifd import ORIENTATION, BadDirectory, Directory, read_block
from freefill.imaging.formats.metadata import clean_exif, clean_xmp

KEPT = ("icc_profile", "exif", "xmp", "dpi", "transparency", "compression", "gamma", "comment")
"""What is carried from Pillow's ``info`` of the source to the result's."""


@dataclass(frozen=True)
class Carried:
    """What only the source's own format can hold, and which its writer puts back."""

    orientation: int = 1
    """How the file says that it has to be turned; the samples have been."""
    chunks: tuple[png.Chunk, ...] = ()
    """Of a PNG."""
    colour: int = -1
    """PNG's number for how its samples are stored."""
    tags: Directory | None = None
    """Of a TIFF."""
    jpeg: bytes | None = None
    """All of a JPEG, for its segments and coefficients."""
    anew: bool = False
    """Whether the samples are no longer those of the file, here and there changed."""


@dataclass
class Decoded:
    """What a file holds; the fields are those of a picture."""

    samples: Samples
    mode: str
    format: str | None = None
    info: dict[str, Any] = field(default_factory=dict)
    palette: NDArray[np.uint8] | None = None
    notices: list[str] = field(default_factory=list)
    carried: Carried = field(default_factory=Carried)


def upright(samples: Samples, orientation: int) -> Samples:
    """Turn samples ``(H, W[, C])`` as an EXIF orientation, 1 to 8, asks for."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)


def stored(samples: Samples, orientation: int) -> Samples:
    """Undo :func:`upright`: give samples as they lie in the file."""
    # Each is its own inverse, but for the two quarter turns, which are each other's.
    return upright(samples, {6: 8, 8: 6}.get(orientation, orientation))


def read_file(
    file: BinaryIO, kind: Literal["path", "bytes"], name: str, max_pixels: int
) -> Decoded:
    """Read a file of pixels.

    Args:
        file: The file.
        kind: Where it came from.
        name: What errors call it.
        max_pixels: The most that its width times its height may be.

    Returns:
        Its samples and all that belongs to them.

    Raises:
        ImageError: If it cannot be read.
        UnidentifiedImageError: If no reader knows it.
    """
    if not file.seekable():
        file = BytesIO(file.read())
    limits.check_whole(file, name)
    file.seek(0)
    prefix = file.read(12)
    if heif.is_heif(prefix):
        heif.register(name)
    is_tiff = prefix[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    tags = tiff.directory_of(file) if is_tiff else None
    if tags is not None:
        size = tags.first(tiff.WIDTH, 0), tags.first(tiff.HEIGHT, 0)
        limits.check_size(size, name, max_pixels)
        _named(name, tiff.check_strips, file, tags)
        if tiff_float.needed(tags):
            return _read_tifffile(file, tags, name)
    pages = 1
    if tags is not None and prefix[:4] == b"MM\0+":
        # Pillow takes these for TIFFs with 32-bit places, and finds nothing at them.
        file = _named(name, tiff.classic, file, tags)
        pages = 2 if tags.next else 1
    chunks: list[png.Chunk] = []
    colour = -1
    if prefix.startswith(png.START):
        head, chunks = _named(name, png.read_chunks, file)
        limits.check_size((head.width, head.height), name, max_pixels)
        colour = head.colour
        if png.has_long_texts(chunks):
            # They are kept as they lie in the file; Pillow does not have to see them.
            file = BytesIO(png.without_texts(file))
    try:
        image = limits.opened(file, name, max_pixels)
    except UnidentifiedImageError:
        if is_tiff and tags is None:
            raise ImageError(
                f"{name} cannot be read: the tags of the TIFF are cut off or damaged"
            ) from None
        if tags is None:
            raise
        raise ImageError(
            f"{name} holds {tiff_float.samples_of(tags)}, stored in a way (photometric "
            f"{tags.first(tiff.PHOTOMETRIC, 1)}, compression {tags.first(tiff.COMPRESSION, 1)}) "
            "that cannot be read: save it as RGB or grey"
        ) from None
    bits = high_bit_depth.lost_bits(file, image)
    samples: Samples | None = None
    mode: str | None = None
    with limits.lifted(image.width * image.height):
        if high_bit_depth.is_deep(image):
            samples, mode = high_bit_depth.read(
                file, lambda again: limits.opened(again, name, max_pixels)
            )
        else:
            image.load()
    if samples is not None and mode == "RGBA" and tags is not None:
        _check_straight(tags, samples, name)
    decoded = from_pillow(image, kind, name, samples, mode)
    decoded.notices += _frames(name, pages)
    if bits:
        decoded.notices.append(f"{name} has {bits} bits a channel: it is read and written with 8")
    if image.format == "WEBP":
        decoded.info["lossless"] = _is_lossless_webp(file)
    content = None
    if image.format in ("JPEG", "MPO"):
        file.seek(0)
        content = file.read()
        _, scan = _named(name, jpeg.segments, content)
        more = jpeg.followed_by(content, scan)
        # Pictures that Pillow counts have been told of.
        if more and getattr(image, "n_frames", 1) < 2:
            decoded.notices.append(
                f"{name} has {more} bytes after its picture (a video, a gain map, ...): they are "
                "left out"
            )
    decoded.carried = Carried(decoded.carried.orientation, tuple(chunks), colour, tags, content)
    if tags is not None:
        if decoded.mode == "I;16" and tags.first(tiff.PHOTOMETRIC, 1) == 0:
            # Pillow turns white and black round at 8 bits, and not at 16.
            decoded.samples = 65535 - decoded.samples
        exif = tiff.exif_of(tags)
        decoded.info.pop("exif", None)
        if exif is not None:
            decoded.info["exif"] = exif
    return decoded


def _named(name: str, check: Any, *arguments: Any) -> Any:
    """Call a reader whose errors do not name the file."""
    try:
        return check(*arguments)
    except ImageError as error:
        raise ImageError(f"{name} cannot be read: {error}") from None


def _check_straight(tags: Directory, samples: Samples, name: str) -> None:
    associated = tags.first(tiff.EXTRA, 2) == 1
    if associated and (samples[..., 3] != 65535).any():
        raise ImageError(
            f"{name} has 16 bits a channel that are multiplied by its alpha: save it with "
            "straight (unassociated) alpha"
        )


def _read_tifffile(file: BinaryIO, tags: Directory, name: str) -> Decoded:
    samples, mode = _named(name, tiff_float.read, file, tags)
    orientation = tags.first(ORIENTATION, 1)
    info: dict[str, Any] = {}
    for key, number in (("icc_profile", tiff.ICC), ("xmp", tiff.XMP)):
        found = tags.tags.get(number)
        if found is not None and isinstance(found.value, bytes):
            info[key] = found.value
    exif = tiff.exif_of(tags)
    if exif is not None:
        info["exif"] = exif
    if tags.first(tiff.COMPRESSION, tiff.RAW) == tiff.RAW:
        info["compression"] = "raw"
    notices = _frames(name, 2 if tags.next else 1)
    carried = Carried(orientation, tags=tags)
    return Decoded(upright(samples, orientation), mode, "TIFF", info, None, notices, carried)


def _frames(name: str, frames: int) -> list[str]:
    if frames < 2:
        return []
    return [f"{name} has {frames} frames: only the first is used"]


def from_pillow(
    image: Image.Image,
    kind: Literal["path", "bytes", "pil"],
    name: str,
    samples: Samples | None = None,
    mode: str | None = None,
) -> Decoded:
    """Take over what Pillow has read.

    Args:
        image: Pillow's image.
        kind: Where it came from.
        name: What errors call it.
        samples: The samples, where Pillow cannot hold them, as they lie in the file.
        mode: Their mode.

    Returns:
        The samples, upright, and what belongs to them.

    Raises:
        ImageError: If the mode is not supported.
    """
    notices = _frames(name, getattr(image, "n_frames", 1)) if kind != "pil" else []
    file_format = image.format
    if samples is None:
        depth = image.info.get("bit_depth", 8)
        if file_format == "HEIF" and depth > 8:
            notices.append(f"{name} has {depth} bits a channel: it is read and written with 8")
        samples, mode = _samples(image, name)
    assert mode is not None
    info = {k: v for k, v in image.info.items() if k in KEPT}
    if not _is_resolution(info.get("dpi")):
        info.pop("dpi", None)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        info["qtables"] = image.quantization
        info["progressive"] = bool(image.info.get("progressive"))
        sampling = JpegImagePlugin.get_sampling(image)
        if sampling >= 0:
            info["subsampling"] = sampling
    orientation = image.getexif().get(ORIENTATION, 1)
    # Pillow turns TIFFs itself.
    if file_format == "TIFF" or orientation not in range(1, 9):
        orientation = 1
    _carry_exif(image, kind, info, orientation)
    palette = _palette(image, samples, name) if mode == "P" else None
    if mode in NOTED:
        notices.append(f"{name} is {NOTED[mode]}")
    turned = upright(samples, orientation) if orientation > 1 else samples
    return Decoded(turned, mode, file_format, info, palette, notices, Carried(orientation))


def _is_resolution(found: Any) -> bool:
    """Whether dots per inch are a pair that can be written: damaged files say anything."""
    try:
        across, down = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return False
    return 0 < across < 400_000 and 0 < down < 400_000


def _samples(image: Image.Image, name: str) -> tuple[Samples, str]:
    if image.mode in ("I;16B", "I;16L", "I;16N"):
        return np.asarray(image).astype(np.uint16), "I;16"
    if image.mode not in CODECS:
        raise ImageError(
            f"{name} has Pillow mode {image.mode}; modes that work: {', '.join(CODECS)}"
        )
    samples = np.asarray(image)
    if samples.size == 0:
        raise ImageError(f"{name} is {image.width}x{image.height}: there is nothing in it")
    return samples, image.mode


def _carry_exif(image: Image.Image, kind: str, info: dict[str, Any], orientation: int) -> None:
    """Keep EXIF and XMP byte for byte where they are bytes, and let them say: upright."""
    if isinstance(info.get("xmp"), str):
        info["xmp"] = info["xmp"].encode()
    if info.get("xmp"):
        info["xmp"] = clean_xmp(info["xmp"])
    raw = info.pop("exif", None)
    if isinstance(raw, bytes) and kind != "pil":
        info["exif"] = clean_exif(raw)
        return
    exif = image.getexif()
    if orientation > 1:
        exif = Image.Exif()
        exif.load(image.getexif().tobytes())
        exif.pop(ORIENTATION, None)
    block: bytes | None = exif.tobytes()
    if image.format == "TIFF":
        # There Pillow counts everything as EXIF, also where the strips lie.
        with suppress(BadDirectory):
            block = tiff.exif_of(read_block(exif.tobytes()))
    if block and block != Image.Exif().tobytes():
        info["exif"] = block


def _palette(image: Image.Image, samples: Samples, name: str) -> NDArray[np.uint8]:
    table = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    if not len(table):
        raise ImageError(f"{name} has a palette without colours")
    # Samples beyond the last colour are shown black. Without an entry of their own they would be
    # written with as few bits as the palette needs, and become another colour.
    missing = int(samples.max()) + 1 - len(table)
    return np.concatenate([table, np.zeros((max(0, missing), 3), np.uint8)])


def _is_lossless_webp(file: BinaryIO) -> bool:
    """Look for the chunk of the first picture, lossy or not: Pillow does not tell."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        if head[:4] in (b"VP8 ", b"VP8L"):
            return head[:4] == b"VP8L"
        if head[:4] == b"ANMF":
            # A frame of an animation: its place and time, then chunks again.
            file.seek(16, 1)
            continue
        file.seek(int.from_bytes(head[4:], "little") + head[4] % 2, 1)
    return False
