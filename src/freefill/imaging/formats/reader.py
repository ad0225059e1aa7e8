"""From a file to samples: all bits, turned upright, and what has to be carried to the result."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from freefill.errors import FreefillError, ImageError, OutOfMemoryError
from freefill.imaging.codecs import CODECS, NOTED, Samples
from freefill.imaging.formats import (
    heif,
    high_bit_depth,
    ifd,
    jpeg,
    limits,
    png,
    tiff,
    tiff_float,
)
from freefill.imaging.formats.ifd import ORIENTATION, BadDirectory, Directory, read_block
from freefill.imaging.formats.metadata import (
    clean_exif,
    clean_xmp,
    orientation_of,
    xmp_orientation,
)
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
        tags: Of a TIFF.
        pages: Of a TIFF, counted up to a limit.
        chunks: Of a PNG, those to keep.
        colour: PNG's number for how samples are stored; -1 for none.
        profile: Of a PNG, its colour profile.
        content: All of a JPEG.
        shorter: Least shorter side that is asked for, in pixels; 0 for all of them.
        notices: What a person should read.
    """

    file: BinaryIO
    kind: Literal["path", "bytes"]
    name: str
    max_pixels: int
    prefix: bytes = b""
    tags: Directory | None = None
    pages: int = 1
    chunks: list[png.Chunk] = field(default_factory=list)
    colour: int = -1
    profile: bytes | None = None
    content: bytes | None = None
    shorter: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def is_tiff(self) -> bool:
        """Whether it begins as a TIFF does."""
        return self.prefix[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_file(
    file: BinaryIO,
    kind: Literal["path", "bytes"],
    name: str,
    max_pixels: int,
    *,
    shorter: int = 0,
) -> Picture:
    """Read a file of pixels.

    Args:
        file: The file.
        kind: Where it came from.
        name: What errors call it.
        max_pixels: The most that its width times its height may be.
        shorter: A JPEG whose shorter side is many times as long may be decoded smaller, which is
            faster; such a picture cannot be written again. 0 for all pixels.

    Returns:
        Its samples and all that belongs to them.

    Raises:
        ImageError: If it cannot be read.
        OutOfMemoryError: If there is not enough memory for it.
    """
    try:
        return _read(file, kind, name, max_pixels, shorter)
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image in a format that can be read") from None
    except FreefillError:
        raise
    except MemoryError:
        raise OutOfMemoryError(
            f"there is not enough memory to read {name}: free some, or read fewer at a time"
        ) from None
    except Exception as error:  # on damaged files Pillow raises whatever it trips over
        reason = str(error) or type(error).__name__
        if "decoder error" in reason or "data stream" in reason:
            reason = f"its pixels are damaged ({reason})"
        raise ImageError(f"{name} cannot be read: {reason}") from None


def _read(
    file: BinaryIO, kind: Literal["path", "bytes"], name: str, max_pixels: int, shorter: int
) -> Picture:
    if not file.seekable():
        file = BytesIO(file.read())
    limits.check_whole(file, name)
    file.seek(0)
    # A small type of NumPy would overflow where samples are counted.
    source = _File(file, kind, name, int(max_pixels), file.read(12), shorter=shorter)
    if heif.is_heif(source.prefix):
        heif.register(name)
    if source.is_tiff:
        source.tags = _named(name, tiff.directory_of, file)
        source.pages = ifd.pages(file, limits.MAX_FRAMES)
        _check_tiff(source, source.tags)
        if tiff_float.needed(source.tags):
            return _read_tifffile(source, source.tags)
    if source.prefix.startswith(png.START):
        _read_chunks(source)
    if source.prefix.startswith(jpeg.START):
        file.seek(0)
        source.content = file.read()
        source.file = BytesIO(_named(name, jpeg.checked, source.content))
    picture = _decode(source, _opened(source))
    if source.tags is not None:
        _take_tags(picture, source.tags)
    return picture


def _check_tiff(source: _File, tags: Directory) -> None:
    size = tags.first(tiff.WIDTH, 0), tags.first(tiff.HEIGHT, 0)
    limits.check_size(size, source.name, source.max_pixels)
    bits = tags.first(tiff.BITS, 1) * tags.first(tiff.CHANNELS, 1)
    limits.check_samples(size, bits / 8, source.name, source.max_pixels)
    _named(source.name, tiff.check_strips, source.file, tags)
    if source.prefix[:4] == b"MM\0+" and not tiff_float.needed(tags):
        # Pillow takes these for TIFFs with 32-bit places, and finds nothing at them.
        source.file = _named(source.name, tiff.classic, source.file, tags)


def _read_chunks(source: _File) -> None:
    head, source.chunks = _named(source.name, png.read_chunks, source.file)
    limits.check_size((head.width, head.height), source.name, source.max_pixels)
    source.colour = head.colour
    limits.check_samples(
        (head.width, head.height),
        png.CHANNELS.get(head.colour, 1) * head.depth / 8,
        source.name,
        source.max_pixels,
    )
    hidden: tuple[bytes, ...] = ()
    if png.has_long_texts(source.chunks):
        # They are kept as they lie in the file; Pillow does not have to see them.
        hidden += (b"tEXt", b"zTXt", b"iTXt")
    for chunk in [chunk for chunk in source.chunks if chunk.name == b"iCCP"]:
        source.profile = png.profile_of(chunk)
        if source.profile is None:
            source.notices.append(f"{source.name} has a damaged colour profile: it is left out")
            source.chunks.remove(chunk)
        if source.profile is None or len(source.profile) > png.LARGEST_TEXT:
            hidden += (b"iCCP",)
    if hidden:
        source.file = BytesIO(png.without(source.file, hidden))


def _opened(source: _File) -> ImageFile.ImageFile:
    """Open a file with Pillow, and say of a TIFF why it cannot be."""
    name, tags = source.name, source.tags
    try:
        return limits.opened(source.file, name, source.max_pixels)
    except UnidentifiedImageError:
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
    if source.shorter and isinstance(image, JpegImagePlugin.JpegImageFile):
        # The decoder itself shrinks large photos: several times faster.
        image.draft("RGB", (2 * source.shorter, 2 * source.shorter))
    with limits.lifted(image.width * image.height):
        if high_bit_depth.is_deep(image):
            samples, mode = high_bit_depth.read(
                file, lambda again: limits.opened(again, name, source.max_pixels)
            )
        else:
            image.load()
    if samples is not None and mode == "RGBA" and source.tags is not None:
        _check_straight(source.tags, samples, name)
    _take_text(source, image)
    picture = from_pillow(image, source.kind, name, samples, mode)
    picture.notices[:0] = [*_frames(name, _frame_count(source, image)), *source.notices]
    if source.profile is not None:
        picture.info["icc_profile"] = source.profile
    if bits:
        picture.notices.append(f"{name} has {bits} bits a channel: it is read and written with 8")
    if image.format == "WEBP":
        picture.info["lossless"] = _is_lossless_webp(file)
    content = None
    if source.content is not None and image.format in ("JPEG", "MPO"):
        content = source.content
        _tell_more(source, content, image, picture.notices)
    picture.source_metadata = replace(
        picture.source_metadata,
        chunks=tuple(source.chunks),
        colour=source.colour,
        tags=source.tags,
        jpeg=content,
    )
    return picture


def _take_text(source: _File, image: ImageFile.ImageFile) -> None:
    """Take EXIF from ImageMagick's text in a PNG, and drop the text if it is damaged."""
    text = image.info.get(png.RAW_EXIF[0].decode())
    if text is None or isinstance(image.info.get("exif"), bytes):
        return
    try:
        # Three lines say what it is: empty, its kind, its length.
        image.info["exif"] = bytes.fromhex("".join(str(text).split("\n")[3:]))
    except ValueError:
        source.notices.append(f"{source.name} has a damaged text of EXIF: it is left out")
        source.chunks = [chunk for chunk in source.chunks if not png.is_raw_exif(chunk)]


def _tell_more(
    source: _File, content: bytes, image: ImageFile.ImageFile, notices: list[str]
) -> None:
    """Tell what follows the picture of a JPEG."""
    _, scan = _named(source.name, jpeg.segments, content)
    more = jpeg.followed_by(content, scan)
    # Pictures that Pillow counts have been told of.
    if more and getattr(image, "n_frames", 1) < 2:
        notices.append(
            f"{source.name} has {more} bytes after its picture (a video, a gain map, ...): they "
            "are left out"
        )


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
    notices = _frames(name, source.pages)
    return Picture(
        apply_orientation(samples, orientation),
        mode,
        source.kind,
        "TIFF",
        info,
        notices=notices,
        source_metadata=SourceMetadata(orientation, tags=tags),
    )


def _frame_count(source: _File, image: ImageFile.ImageFile) -> int:
    """Count pictures; of TIFF and GIF up to a limit, where Pillow would read all of them."""
    if source.is_tiff:
        return source.pages
    if image.format == "GIF":
        return limits.gif_frames(source.file)
    return int(getattr(image, "n_frames", 1))


def _frames(name: str, frames: int) -> list[str]:
    if frames < 2:
        return []
    known = frames if frames <= limits.MAX_FRAMES else f"more than {limits.MAX_FRAMES}"
    return [f"{name} has {known} frames: only the first is used"]


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
    notices: list[str] = []
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
    if "icc_profile" in info and not (
        isinstance(info["icc_profile"], bytes) and info["icc_profile"]
    ):
        # Pillow's word for one that it cannot put together.
        del info["icc_profile"]
        notices.append(f"{name} has a damaged colour profile: it is left out")
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        info["qtables"] = image.quantization
        info["progressive"] = bool(image.info.get("progressive"))
        sampling = JpegImagePlugin.get_sampling(image)
        if sampling >= 0:
            info["subsampling"] = sampling
    orientation = _orientation(image, kind, info, notices)
    _carry_exif(image, kind, info, orientation)
    palette = _palette(image, samples, name) if mode == "P" else None
    opacities = _opacities(image) if mode == "P" else None
    if opacities is not None and "transparency" not in info:
        info["transparency"] = opacities
    if mode in NOTED:
        notices.append(f"{name} is {NOTED[mode]}")
    upright = apply_orientation(samples, orientation) if orientation > 1 else samples
    metadata = SourceMetadata(orientation)
    return Picture(upright, mode, kind, file_format, info, palette, notices, metadata)


def _orientation(image: Image.Image, kind: str, info: dict[str, Any], notices: list[str]) -> int:
    """Give how the samples have to be turned, 1 to 8."""
    # Pillow turns TIFFs itself.
    if image.format == "TIFF":
        return 1
    if kind == "pil":
        try:
            found = image.getexif().get(ORIENTATION, 1)
        except Exception:  # whatever damaged EXIF trips Pillow over; it then gives none
            found = 1
            notices.append("the image has damaged EXIF: it is left out")
    else:
        # Without Pillow's reader, which unpacks all of the EXIF for this one number.
        exif, xmp = info.get("exif"), info.get("xmp")
        found = orientation_of(exif) if isinstance(exif, bytes) else None
        if found is None and xmp:
            found = xmp_orientation(xmp.encode() if isinstance(xmp, str) else xmp)
    return int(found) if found in range(1, 9) else 1


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
    if image.mode == "I" and image.format == "PPM":
        # 16 bits of grey, scaled to all of them.
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
    if kind != "pil":
        if isinstance(raw, bytes):
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


def _opacities(image: Image.Image) -> bytes | None:
    """Give the opacity of each entry of a palette that holds it; ``None`` if all are opaque."""
    if image.palette is None or image.palette.mode != "RGBA":
        return None
    opacities = bytes((image.getpalette("RGBA") or [])[3::4])
    return opacities if opacities.strip(b"\xff") else None


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
