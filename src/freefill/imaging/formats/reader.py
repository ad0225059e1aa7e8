"""From a file to samples: all bits, turned upright, and what has to be carried to the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, BinaryIO, Literal

from PIL import ImageFile, JpegImagePlugin, UnidentifiedImageError

from freefill.errors import FreefillError, ImageError, OutOfMemoryError, plural
from freefill.imaging.codecs import Samples
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
from freefill.imaging.formats.from_pillow import from_pillow
from freefill.imaging.formats.ifd import ORIENTATION, Directory
from freefill.imaging.picture import Picture, SourceMetadata
from freefill.imaging.rotate import apply_orientation


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


LARGEST_UNKNOWN = 2**24
"""Pixels that are counted for a file that does not tell them."""


def pixels_of(content: bytes, max_pixels: int) -> int:
    """Look up how many pixels a file has, without decoding them.

    Args:
        content: The file.
        max_pixels: The most that it may have.

    Returns:
        Width times height, 0 to ``max_pixels``; a guess for what cannot be read, where
        :func:`read_file` says why.
    """
    try:
        width, height = _size(BytesIO(content), "the image", max_pixels)
        return max(0, min(width * height, max_pixels))
    except Exception:  # as of reading: Pillow raises whatever it trips over
        return min(len(content), LARGEST_UNKNOWN, max_pixels)


def _size(file: BinaryIO, name: str, max_pixels: int) -> tuple[int, int]:
    source = _File(file, "bytes", name, max_pixels, file.read(12))
    if source.is_tiff:
        tags = tiff.directory_of(file)
        return tags.first(tiff.WIDTH, 0), tags.first(tiff.HEIGHT, 0)
    if limits.is_icon(source.prefix):
        return limits.check_icon(file, name, max_pixels), 1
    if heif.is_heif(source.prefix):
        heif.register(name)
    return limits.opened(file, name, max_pixels).size


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
            f"{source.name} has {plural(more, 'byte')} after its picture (a video, a gain "
            "map, ...): left out"
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


def _frames(name: str, frames: int) -> list[str]:
    """Give the line about a file of several frames, if it is one."""
    if frames < 2:
        return []
    known = frames if frames <= limits.MAX_FRAMES else f"more than {limits.MAX_FRAMES}"
    return [f"{name} has {known} frames: only the first is used"]


def _frame_count(source: _File, image: ImageFile.ImageFile) -> int:
    """Count pictures; of TIFF and GIF up to a limit, where Pillow would read all of them."""
    if source.is_tiff:
        return source.pages
    if image.format == "GIF":
        return limits.gif_frames(source.file)
    return int(getattr(image, "n_frames", 1))


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
