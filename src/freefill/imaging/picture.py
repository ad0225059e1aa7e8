"""Pictures as people have them: any kind of source, in the samples it came with.

A :class:`Picture` keeps the source's own samples (mode, bit depth, palette, alpha, metadata) and
changes only those inside the hole: everything else is the input's, bit for bit. Colour as the
network wants it, float32 RGB in [0, 1], exists only for crops.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from freefill.errors import FreefillWarning, ImageError
from freefill.imaging.box import Box
from freefill.imaging.codecs import Layout, Samples
from freefill.imaging.formats import MAX_PIXELS, heif
from freefill.imaging.formats.high_bit_depth import is_deep
from freefill.imaging.formats.reader import Carried, Decoded, from_pillow, read_file
from freefill.imaging.formats.writer import eight_bits, encode, pillow_image
from freefill.types import Rgb

Source = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]


class Named(bytes):
    """The bytes of a file that is not on this disk, and what errors call it.

    Args:
        content: The bytes.
        name: The name.
    """

    name: str

    def __new__(cls, content: bytes, name: str) -> Named:
        """Make bytes that know their name."""
        named = super().__new__(cls, content)
        named.name = name
        return named


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
        carried: What only the source's own format holds.
        touched: ``(H, W)``, True where pixels were filled; ``None`` if none were.
    """

    samples: Samples
    mode: str
    kind: Literal["path", "bytes", "pil", "array"]
    format: str | None = None
    info: dict[str, Any] = field(default_factory=dict)
    palette: NDArray[np.uint8] | None = None
    notices: list[str] = field(default_factory=list)
    carried: Carried = field(default_factory=Carried)
    touched: NDArray[np.bool_] | None = None

    @classmethod
    def read(cls, source: Source, *, max_pixels: int = MAX_PIXELS) -> Picture:
        """Read a picture.

        Args:
            source: Path, encoded bytes, Pillow image, or array ``(H, W)``, ``(H, W, 1)``,
                ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA of uint8, uint16 or floats in [0, 1].
            max_pixels: The most that width times height of a file may be. Pillow images and
                arrays are in memory already and are not limited.

        Returns:
            The picture, turned upright as its EXIF orientation says. An array is not copied: the
            caller's stays as it is, because :meth:`filled` copies.

        Raises:
            ImageError: If it cannot be read, or has samples that are not supported.
        """
        if isinstance(source, np.ndarray):
            return cls._from_array(source)
        if isinstance(source, Image.Image):
            cut = is_deep(source)
            try:
                source.load()
            except Exception as error:  # as in _open: Pillow reads samples when they are asked for
                raise ImageError(f"the image cannot be read: {error}") from None
            found = from_pillow(source, "pil", "the image")
            if cut:
                found.notices.append(
                    "the image has 16 bits a channel, of which Pillow holds 8: its path, or its "
                    "bytes, keep all of them"
                )
            return cls._of(found, "pil")
        if isinstance(source, bytes):
            unnamed = f"the image of {len(source)} bytes"
            name = source.name if isinstance(source, Named) else unnamed
            return cls._open(BytesIO(source), "bytes", name, max_pixels)
        if isinstance(source, str | os.PathLike):
            try:
                with Path(source).open("rb") as file:
                    return cls._open(file, "path", str(source), max_pixels)
            except FileNotFoundError:
                raise ImageError(f"{source} does not exist") from None
            except IsADirectoryError:
                raise ImageError(f"{source} is a folder, not an image") from None
            except OSError as error:
                raise ImageError(f"{source} cannot be read: {error.strerror or error}") from None
        raise ImageError(
            "an image is a path, bytes, a Pillow image or a NumPy array, "
            f"not {type(source).__name__}"
        )

    @classmethod
    def _open(
        cls, file: BinaryIO, kind: Literal["path", "bytes"], name: str, max_pixels: int
    ) -> Picture:
        try:
            return cls._of(read_file(file, kind, name, max_pixels), kind)
        except UnidentifiedImageError:
            raise ImageError(f"{name} is not an image in a format that can be read") from None
        except ImageError:
            raise
        except Exception as error:  # on damaged files Pillow raises whatever it trips over
            reason = str(error)
            if "decoder error" in reason or "data stream" in reason:
                reason = f"its pixels are damaged ({reason})"
            raise ImageError(f"{name} cannot be read: {reason}") from None

    @classmethod
    def _of(cls, found: Decoded, kind: Literal["path", "bytes", "pil"]) -> Picture:
        return cls(
            found.samples,
            found.mode,
            kind,
            found.format,
            found.info,
            found.palette,
            found.notices,
            found.carried,
        )

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

    def shrunk(self, box: Box, factor: int) -> Rgb:
        """Give the mean colours of blocks of ``factor`` by ``factor`` pixels.

        Args:
            box: Where; the last blocks may be cut off by its end.
            factor: At least 1.

        Returns:
            ``(ceil(h / factor), ceil(w / factor), 3)`` float32 in [0, 1].
        """
        height, width = box.size
        small = np.empty((-(-height // factor), -(-width // factor), 3), np.float32)
        starts = np.arange(0, width, factor)
        counts = np.diff(np.append(starts, width))[:, None]
        for row in range(len(small)):
            # Row by row: the colours of a whole large photo in floats are many times its file.
            top = box.top + row * factor
            band = Box(top, box.left, min(top + factor, box.bottom), box.right)
            small[row] = np.add.reduceat(self.rgb(band).mean(0), starts, axis=0) / counts
        return small

    def filled(
        self, patches: Iterable[tuple[Box, NDArray[np.bool_], Rgb]], opaque: bool
    ) -> Picture:
        """Write colours into holes.

        Args:
            patches: Box, hole ``(h, w)`` and colours ``(h, w, 3)`` in [0, 1] of each.
            opaque: Whether filled pixels become opaque, where there is alpha.

        Returns:
            A new picture; its samples outside the holes are this one's.
        """
        samples = self.samples.copy()
        touched = np.zeros(self.size, bool) if self.touched is None else self.touched.copy()
        for box, hole, rgb in patches:
            target = samples[box.window]
            touched[box.window] |= hole
            values = self.layout.from_rgb(rgb[hole])
            if self.has_alpha:
                target[hole, : values.shape[-1]] = values
                if opaque:
                    target[hole, -1] = self.layout.peak
            elif target.ndim == 3 and values.ndim == 1:
                target[hole, 0] = values
            else:
                target[hole] = values
        return replace(self, samples=samples, touched=touched if touched.any() else None)

    def reframed(self, samples: Samples) -> Picture:
        """Give another picture, of any size, in this one's mode, format and metadata.

        Args:
            samples: ``(H, W)`` or ``(H, W, C)``, of this picture's dtype and channels.

        Returns:
            A new picture, nothing of which counts as filled.

        Raises:
            ValueError: If the samples are of another kind.
        """
        if samples.dtype != self.samples.dtype or samples.shape[2:] != self.samples.shape[2:]:
            raise ValueError(
                f"samples are {samples.dtype} {samples.shape[2:]}, not {self.samples.dtype} "
                f"{self.samples.shape[2:]}"
            )
        return replace(
            self, samples=samples, touched=None, carried=replace(self.carried, anew=True)
        )

    def changed(self, samples: Samples) -> Picture:
        """Give this picture with other samples here and there.

        Args:
            samples: Of the same shape and dtype; where they differ counts as filled.

        Returns:
            A new picture.
        """
        touched = samples != self.samples
        touched = touched.any(-1) if touched.ndim == 3 else touched
        touched = touched if self.touched is None else touched | self.touched
        return replace(self, samples=samples, touched=touched if touched.any() else None)

    def mixed(self, before: Picture, share: NDArray[np.float32]) -> Picture:
        """Let what was there before the fill be seen through it.

        Args:
            before: The picture that was filled.
            share: ``(H, W)`` in [0, 1]: how much of the fill is seen. Outside the hole it is not
                looked at.

        Returns:
            A new picture.
        """
        if self.touched is None:
            return self
        soft = self.touched & (share < 1)
        if not soft.any():
            return self
        part = share[soft][:, None]
        # Colours are asked for as a picture one pixel high: of those pixels alone.
        old, new = (self.layout.to_rgb(p.samples[soft][None])[0] for p in (before, self))
        values = self.layout.from_rgb(part * new + (1 - part) * old)
        samples = self.samples.copy()
        pixels = samples[soft].reshape(len(values), -1)
        values = values.reshape(len(values), -1)
        pixels[:, : values.shape[1]] = values
        samples[soft] = pixels.reshape(samples[soft].shape)
        return replace(self, samples=samples)

    def to_pillow(self) -> Image.Image:
        """Give the picture as a Pillow image of the same mode.

        Pillow has no mode for 16-bit colour or for floats: they are rounded to 8 bits, with a
        warning.
        """
        samples = self.samples
        deep = samples.dtype.itemsize > 1 and self.mode != "I;16"
        if deep:
            warnings.warn(
                f"a Pillow image has no mode for {samples.dtype} {self.mode}: it is rounded to 8 "
                "bits; an array, or bytes, keep all of them",
                FreefillWarning,
                stacklevel=3,
            )
            samples = eight_bits(samples)
        image = pillow_image(samples, self.mode, self.palette)
        # A transparent colour of 16 bits is none of those of 8.
        image.info.update({k: v for k, v in self.info.items() if not deep or k != "transparency"})
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

    def encode(self, file_format: str, *, strip: bool = False) -> tuple[bytes, list[str]]:
        """Encode the picture.

        Args:
            file_format: Pillow's name, e.g. ``PNG``.
            strip: Whether to leave out EXIF, XMP, GPS, comments and texts; the colour profile and
                the resolution stay.

        Returns:
            The bytes, and lines that a person should read.

        Raises:
            ImageError: If the format cannot hold what the picture has.
        """
        return encode(self, file_format, strip=strip)


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
    if path.suffix.lower() in heif.ENDINGS:
        heif.register(path.name)
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
    # Of this process and thread: names that begin alike are written at the same time.
    owner = f"{os.getpid()}-{threading.get_ident()}"
    partial = path.with_name(f".{path.name[:40]}.{owner}.partial")
    try:
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from None
