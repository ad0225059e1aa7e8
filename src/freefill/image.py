"""Pictures as people have them: any kind of source, in the samples it came with.

A :class:`Picture` keeps the source's own samples (mode, bit depth, palette, alpha, metadata) and
changes only those inside the hole: everything else is the input's, bit for bit. Colour as the
network wants it, float32 RGB in [0, 1], exists only for crops.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from freefill.errors import ImageError
from freefill.samples import CODECS, NOTED, Layout, Rgb, Samples

Source = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]


class Box(NamedTuple):
    """A rectangle of pixels: ``top <= row < bottom``, ``left <= column < right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    @property
    def window(self) -> tuple[slice, slice]:
        """What cuts this box out of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass
class Picture:
    """One picture in its source's own samples.

    Attributes:
        samples: ``(H, W)`` or ``(H, W, C)`` as the source holds them.
        mode: Pillow's name for them (``RGB``, ``LA``, ``P``, ``I;16``, ...).
        kind: What the source was, and so what :meth:`result` gives back.
        format: Pillow's name of the file format, if it came from one.
        info: Metadata to keep: ICC profile, EXIF, DPI and the like.
        palette: ``(N, 3)`` uint8 colours of a ``P`` picture.
        notices: Lines that a person should read (first frame of an animation, ...).
    """

    samples: Samples
    mode: str
    kind: Literal["path", "bytes", "pil", "array"]
    format: str | None = None
    info: dict[str, Any] = field(default_factory=dict)
    palette: NDArray[np.uint8] | None = None
    notices: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, source: Source) -> Picture:
        """Read a picture.

        Args:
            source: Path, encoded bytes, Pillow image, or array ``(H, W)``, ``(H, W, 1)``,
                ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA of uint8, uint16 or floats in [0, 1].

        Returns:
            The picture, turned upright as its EXIF orientation says. An array is not copied: the
            caller's stays as it is, because :meth:`filled` copies.

        Raises:
            ImageError: If it cannot be read, or has samples that are not supported.
        """
        if isinstance(source, np.ndarray):
            return cls._from_array(source)
        if isinstance(source, Image.Image):
            try:
                source.load()
            except Exception as error:  # as in _open: Pillow reads samples when they are asked for
                raise ImageError(f"the image cannot be read: {error}") from None
            return cls._from_pillow(source, "pil", "the image")
        if isinstance(source, bytes):
            return cls._open(BytesIO(source), "bytes", f"the image of {len(source)} bytes")
        if isinstance(source, str | os.PathLike):
            return cls._open(Path(source), "path", str(source))
        raise ImageError(
            "an image is a path, bytes, a Pillow image or a NumPy array, "
            f"not {type(source).__name__}"
        )

    @classmethod
    def _open(cls, file: BytesIO | Path, kind: Literal["path", "bytes"], name: str) -> Picture:
        try:
            with Image.open(file) as opened:
                return cls._from_pillow(opened, kind, name)
        except FileNotFoundError:
            raise ImageError(f"{name} does not exist") from None
        except IsADirectoryError:
            raise ImageError(f"{name} is a folder, not an image") from None
        except UnidentifiedImageError:
            raise ImageError(f"{name} is not an image in a format that can be read") from None
        except Image.DecompressionBombError as error:
            raise ImageError(f"{name} is too large: {error}") from None
        except ImageError:
            raise
        except Exception as error:  # on damaged files Pillow raises whatever it trips over
            raise ImageError(f"{name} cannot be read: {error}") from None

    @classmethod
    def _from_pillow(
        cls, image: Image.Image, kind: Literal["path", "bytes", "pil"], name: str
    ) -> Picture:
        notices = []
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and kind != "pil":
            notices.append(f"{name} has {frames} frames: only the first is used")
        deep = any("16" in str(tile[3]) for tile in getattr(image, "tile", []))
        if deep and image.mode != "I;16":
            notices.append(f"{name} has 16 bits a channel: it is read and written with 8")
        info = {k: v for k, v in image.info.items() if k in KEPT}
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            info["qtables"] = image.quantization
            sampling = JpegImagePlugin.get_sampling(image)
            if sampling >= 0:
                info["subsampling"] = sampling
        file_format = image.format
        if file_format == "WEBP" and kind != "pil":
            info["lossless"] = _is_lossless_webp(image)
        upright = ImageOps.exif_transpose(image)
        # Turning upright drops the orientation tag, but loses what a TIFF says.
        is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
        exif = _tiff_exif(image) if is_tiff else upright.getexif()
        info.pop("exif", None)
        if exif.tobytes() != Image.Exif().tobytes():
            info["exif"] = exif.tobytes()
        if upright.mode not in CODECS:
            raise ImageError(
                f"{name} has Pillow mode {upright.mode}; modes that work: {', '.join(CODECS)}"
            )
        palette = None
        if upright.mode == "P":
            table = upright.getpalette("RGB") or []
            palette = np.array(table, np.uint8).reshape(-1, 3)
            if not len(palette):
                raise ImageError(f"{name} has a palette without colours")
        samples = np.asarray(upright)
        if samples.size == 0:
            raise ImageError(f"{name} is {upright.width}x{upright.height}: there is nothing in it")
        if upright.mode in NOTED:
            notices.append(f"{name} is {NOTED[upright.mode]}")
        return cls(samples, upright.mode, kind, file_format, info, palette, notices)

    @classmethod
    def _from_array(cls, array: Samples) -> Picture:
        channels = 1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0
        if channels not in (1, 3, 4) or array.size == 0:
            raise ImageError(
                f"an image array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {array.shape}"
            )
        if array.dtype.kind == "f":
            low, high = float(array.min()), float(array.max())
            if not (low >= 0 and high <= 1):
                raise ImageError(
                    f"a float image holds values in [0, 1]; this one goes from {low:g} to {high:g}"
                )
        elif array.dtype not in (np.uint8, np.uint16):
            raise ImageError(f"an image array is uint8, uint16 or float, not {array.dtype}")
        return cls(array, {1: "L", 3: "RGB", 4: "RGBA"}[channels], "array")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        height, width = self.samples.shape[:2]
        return height, width

    @property
    def layout(self) -> Layout:
        """How the samples are to be understood."""
        hidden = self.info.get("transparency") if self.mode == "P" else None
        return Layout(self.mode, self.samples.dtype, self.palette, hidden)

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is opacity."""
        return self.mode in ("LA", "RGBA")

    def alpha(self) -> NDArray[np.float32]:
        """Give the opacity, ``(H, W)`` in [0, 1].

        Raises:
            ImageError: If the picture has none.
        """
        if not self.has_alpha:
            raise ImageError(f"the image has no alpha channel: its mode is {self.mode}")
        return self.samples[..., -1].astype(np.float32) / np.float32(self.layout.peak)

    def rgb(self, box: Box) -> Rgb:
        """Give the colours inside a box.

        Args:
            box: Where.

        Returns:
            ``(h, w, 3)`` float32 in [0, 1].
        """
        return self.layout.to_rgb(self.samples[box.window])

    def filled(self, patches: list[tuple[Box, NDArray[np.bool_], Rgb]], opaque: bool) -> Picture:
        """Write colours into holes.

        Args:
            patches: Box, hole ``(h, w)`` and colours ``(h, w, 3)`` in [0, 1] of each.
            opaque: Whether filled pixels become opaque, where there is alpha.

        Returns:
            A new picture; its samples outside the holes are this one's.
        """
        samples = self.samples.copy()
        for box, hole, rgb in patches:
            target = samples[box.window]
            values = self.layout.from_rgb(rgb[hole])
            if self.has_alpha:
                target[hole, : values.shape[-1]] = values
                if opaque:
                    target[hole, -1] = self.layout.peak
            elif target.ndim == 3 and values.ndim == 1:
                target[hole, 0] = values
            else:
                target[hole] = values
        return Picture(
            samples, self.mode, self.kind, self.format, self.info, self.palette, self.notices
        )

    def to_pillow(self) -> Image.Image:
        """Give the picture as a Pillow image of the same mode."""
        image = Image.fromarray(self.samples, None if self.mode != "CMYK" else "CMYK")
        if self.mode == "P" and self.palette is not None:
            image = Image.fromarray(self.samples)
            image.putpalette(self.palette.tobytes())
        elif image.mode != self.mode:
            image = Image.frombytes(self.mode, image.size, self.samples.tobytes())
        image.info.update(self.info)
        return image

    def result(self) -> Any:
        """Give the picture as what its source was: array, Pillow image, or encoded bytes.

        A picture that came from a path is given as a Pillow image.
        """
        if self.kind == "array":
            return self.samples
        if self.kind == "bytes":
            return self.encode(self.format or "PNG")[0]
        return self.to_pillow()

    def encode(self, file_format: str) -> tuple[bytes, list[str]]:
        """Encode the picture.

        Args:
            file_format: Pillow's name, e.g. ``PNG``.

        Returns:
            The bytes, and lines that a person should read.

        Raises:
            ImageError: If the format cannot hold what the picture has.
        """
        notices: list[str] = []
        image = self._for_format(file_format, notices)
        options = {k: v for k, v in self.info.items() if k in KEPT}
        if image.mode != self.mode:
            # What describes the samples of the old mode would be wrong in the new one.
            options.pop("transparency", None)
            if self.mode == "CMYK":
                options["icc_profile"] = None
        if options.get("compression") not in LOSSLESS_TIFF:
            options.pop("compression", None)
            if file_format == "TIFF":
                options["compression"] = "tiff_adobe_deflate"
        if file_format in ("JPEG", "MPO"):
            if "qtables" in self.info and image.mode in ("L", "RGB"):
                options |= {k: self.info[k] for k in ("qtables", "subsampling") if k in self.info}
            else:
                options["quality"] = 95
        elif file_format == "WEBP":
            # What came from a lossless file, or from memory, must not lose in this one.
            lossy = self.format in LOSSY and not self.info.get("lossless")
            options |= {"quality": 95} if lossy else {"lossless": True, "exact": True}
        elif file_format == "AVIF":
            options["quality"] = 90
        buffer = BytesIO()
        try:
            image.save(buffer, file_format, **options)
        except Exception as error:  # each format's writer has its own way of saying no
            raise ImageError(f"{self.mode} cannot be written as {file_format}: {error}") from None
        return buffer.getvalue(), notices

    def _for_format(self, file_format: str, notices: list[str]) -> Image.Image:
        # One colour, or palette entries, that stand for nothing.
        seen_through = "transparency" in self.info and not self.has_alpha
        if (self.has_alpha or seen_through) and file_format in ("JPEG", "MPO", "BMP"):
            raise ImageError(f"{file_format} holds no alpha channel: choose .png, .webp or .tif")
        image = self.to_pillow()
        if seen_through and file_format not in ("PNG", "GIF"):
            notices.append(f"{file_format} holds no transparent colour: written as RGBA")
            return image.convert("RGBA")
        if self.mode == "I;16" and file_format in ("JPEG", "WEBP", "AVIF", "BMP", "GIF"):
            notices.append(f"{file_format} holds 8 bits: the 16 of the image are rounded")
            image = Image.fromarray(np.rint(self.samples / 257.0).astype(np.uint8))
        if (self.mode == "CMYK" and file_format not in ("JPEG", "TIFF")) or (
            self.mode == "P" and file_format in ("JPEG", "WEBP", "AVIF")
        ):
            notices.append(f"{file_format} holds no {self.mode}: written as RGB")
            image = image.convert("RGB")
        if file_format == "GIF" and self.mode not in ("P", "L", "1"):
            notices.append("GIF holds 256 colours: pixels outside the hole change too")
        return image


def format_of(path: Path) -> str:
    """Give Pillow's name of the format that a file's ending asks for.

    Args:
        path: The file to write.

    Returns:
        The format.

    Raises:
        ImageError: If the ending is missing or unknown.

    Examples:
        >>> format_of(Path("a.jpg"))
        'JPEG'
    """
    endings = Image.registered_extensions()
    found = endings.get(path.suffix.lower())
    if found is None or found not in Image.SAVE:
        known = "jpg, png, webp, tif, avif, bmp, gif"
        raise ImageError(f"{path.name} has no ending of an image format ({known}, ...)")
    return found


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Args:
        path: The file.
        content: Its bytes.

    Raises:
        ImageError: If the folder is missing or cannot be written to.
    """
    # Short, so that a name of the greatest legal length still has room for the ending.
    partial = path.with_name(f".{path.name[:40]}.{os.getpid()}.partial")
    try:
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from None


LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")


def _is_lossless_webp(image: Image.Image) -> bool:
    """Look for the chunk of a lossless picture: Pillow does not tell."""
    file = getattr(image, "fp", None)
    if file is None:
        return False
    place = file.tell()
    file.seek(0)
    found = b"VP8L" in file.read()
    file.seek(place)
    return found


LOSSLESS_TIFF = (
    "raw",
    "tiff_lzw",
    "tiff_adobe_deflate",
    "tiff_deflate",
    "packbits",
    "group3",
    "group4",
)

TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432, 34665, 34853)
"""What a TIFF says about its picture, not about its bytes: description, maker, model, software,
date, artist, copyright, and the folders of EXIF and GPS tags."""


def _tiff_exif(image: Image.Image) -> Image.Exif:
    """Give what a TIFF says about its picture as EXIF that can be written into any format."""
    found = image.getexif()
    kept = Image.Exif()
    for tag in TIFF_TAGS:
        if tag in (34665, 34853):
            folder = found.get_ifd(tag)
            if folder:
                kept.get_ifd(tag).update(folder)
        elif tag in found:
            kept[tag] = found[tag]
    return kept


KEPT = ("icc_profile", "exif", "dpi", "transparency", "compression", "gamma", "comment")
"""What is carried from the source's ``info`` to the result's."""
