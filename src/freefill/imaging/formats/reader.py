"""From a file to samples: all bits, turned upright, and what has to be carried to the result."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from freefill.errors import ImageError
from freefill.imaging.codecs import CODECS, NOTED, Samples
from freefill.imaging.formats import heif, high_bit_depth, jpeg, limits, png, tiff, tiff_float
from freefill.imaging.formats.ifd import ORIENTATION, BadDirectory, Directory, read_block
from freefill.imaging.formats.metadata import clean_exif, clean_xmp
from freefill.imaging.picture import Picture, SourceMetadata
from freefill.imaging.rotate import apply_orientation

KEPT = ("icc_profile", "exif", "xmp", "dpi", "transparency", "compression", "gamma", "comment")
"""What is carried from Pillow's ``info`` of the source to the result's."""


@dataclass
class _File:
    """A file that is being read, and what was found out about it so far.

    Attributes:
        file: What is decoded: the file itself, or it without what Pillow must not see.
        kind: Where it came from.
        name: What errors call it.
        max_pixels: The most that its width times its height may be.
        prefix: Its first twelve bytes.
        tags: Of a TIFF, if they can be read.
        chunks: Of a PNG, those to keep.
        colour: PNG's number for how samples are stored; -1 for none.
        pages: How many pictures it holds, where Pillow does not count them.
    """

    file: BinaryIO
    kind: Literal["path", "bytes"]
    name: str
    max_pixels: int
    prefix: bytes = b""
    tags: Directory | None = None
    chunks: list[png.Chunk] = field(default_factory=list)
    colour: int = -1
    pages: int = 1

    @property
    def is_tiff(self) -> bool:
        """Whether it begins as a TIFF does."""
        return self.prefix[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_file(
    file: BinaryIO, kind: Literal["path", "bytes"], name: str, max_pixels: int
) -> Picture:
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
    source = _File(file, kind, name, max_pixels, file.read(12))
    if heif.is_heif(source.prefix):
        heif.register(name)
    source.tags = tiff.directory_of(file) if source.is_tiff else None
    if source.tags is not None:
        _check_tiff(source, source.tags)
        if tiff_float.needed(source.tags):
            return _read_tifffile(source, source.tags)
    if source.prefix.startswith(png.START):
        _read_chunks(source)
    picture = _decode(source, _opened(source))
    if source.tags is not None:
        _take_tags(picture, source.tags)
    return picture


def _check_tiff(source: _File, tags: Directory) -> None:
    size = tags.first(tiff.WIDTH, 0), tags.first(tiff.HEIGHT, 0)
    limits.check_size(size, source.name, source.max_pixels)
    _named(source.name, tiff.check_strips, source.file, tags)
    if source.prefix[:4] == b"MM\0+" and not tiff_float.needed(tags):
        # Pillow takes these for TIFFs with 32-bit places, and finds nothing at them.
        source.file = _named(source.name, tiff.classic, source.file, tags)
        source.pages = 2 if tags.next else 1


def _read_chunks(source: _File) -> None:
    head, source.chunks = _named(source.name, png.read_chunks, source.file)
    limits.check_size((head.width, head.height), source.name, source.max_pixels)
    source.colour = head.colour
    if png.has_long_texts(source.chunks):
        # They are kept as they lie in the file; Pillow does not have to see them.
        source.file = BytesIO(png.without_texts(source.file))


def _opened(source: _File) -> ImageFile.ImageFile:
    """Open a file with Pillow, and say of a TIFF why it cannot be."""
    name, tags = source.name, source.tags
    try:
        return limits.opened(source.file, name, source.max_pixels)
    except UnidentifiedImageError:
        if source.is_tiff and tags is None:
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


def _decode(source: _File, image: ImageFile.ImageFile) -> Picture:
    """Decode all bits of a file that is open, and take over what belongs to them."""
    file, name = source.file, source.name
    bits = high_bit_depth.lost_bits(file, image)
    samples: Samples | None = None
    mode: str | None = None
    with limits.lifted(image.width * image.height):
        if high_bit_depth.is_deep(image):
            samples, mode = high_bit_depth.read(
                file, lambda again: limits.opened(again, name, source.max_pixels)
            )
        else:
            image.load()
    if samples is not None and mode == "RGBA" and source.tags is not None:
        _check_straight(source.tags, samples, name)
    picture = from_pillow(image, source.kind, name, samples, mode)
    picture.notices += _frames(name, source.pages)
    if bits:
        picture.notices.append(f"{name} has {bits} bits a channel: it is read and written with 8")
    if image.format == "WEBP":
        picture.info["lossless"] = _is_lossless_webp(file)
    content = None
    if image.format in ("JPEG", "MPO"):
        content = _jpeg_of(source, image, picture.notices)
    picture.source_metadata = replace(
        picture.source_metadata,
        chunks=tuple(source.chunks),
        colour=source.colour,
        tags=source.tags,
        jpeg=content,
    )
    return picture


def _jpeg_of(source: _File, image: ImageFile.ImageFile, notices: list[str]) -> bytes:
    """Give all of a JPEG, and tell what follows its picture."""
    source.file.seek(0)
    content = source.file.read()
    _, scan = _named(source.name, jpeg.segments, content)
    more = jpeg.followed_by(content, scan)
    # Pictures that Pillow counts have been told of.
    if more and getattr(image, "n_frames", 1) < 2:
        notices.append(
            f"{source.name} has {more} bytes after its picture (a video, a gain map, ...): they "
            "are left out"
        )
    return content


def _take_tags(picture: Picture, tags: Directory) -> None:
    """Take over what a TIFF says that Pillow does not tell, or tells otherwise."""
    if picture.mode == "I;16" and tags.first(tiff.PHOTOMETRIC, 1) == 0:
        # Pillow turns white and black round at 8 bits, and not at 16.
        picture.samples = 65535 - picture.samples
    exif = tiff.exif_of(tags)
    picture.info.pop("exif", None)
    if exif is not None:
        picture.info["exif"] = exif


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


def _read_tifffile(source: _File, tags: Directory) -> Picture:
    name = source.name
    samples, mode = _named(name, tiff_float.read, source.file, tags)
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
    return Picture(
        apply_orientation(samples, orientation),
        mode,
        source.kind,
        "TIFF",
        info,
        notices=notices,
        source_metadata=SourceMetadata(orientation, tags=tags),
    )


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
) -> Picture:
    """Take over what Pillow has read.

    Args:
        image: Pillow's image.
        kind: Where it came from.
        name: What errors call it.
        samples: The samples, where Pillow cannot hold them, as they lie in the file.
        mode: Their mode.

    Returns:
        The picture, upright.

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
    upright = apply_orientation(samples, orientation) if orientation > 1 else samples
    metadata = SourceMetadata(orientation)
    return Picture(upright, mode, kind, file_format, info, palette, notices, metadata)


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
