"""Pictures in and out: any kind of source to a :class:`Picture`, and back to that kind."""

from __future__ import annotations

import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ImageError, OutOfMemoryError
from freefill.imaging import tensors
from freefill.imaging.codecs import Samples
from freefill.imaging.formats import MAX_PIXELS, heif, limits
from freefill.imaging.formats.high_bit_depth import is_deep
from freefill.imaging.formats.reader import from_pillow, read_file
from freefill.imaging.formats.writer import encode
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import to_pillow

__all__ = ["NamedBytes", "Source", "encode", "format_of", "loaded", "read_picture", "restore"]

Source = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | NDArray[Any] | tensors.Tensor
"""Path, encoded bytes, open file, Pillow image, array, or torch tensor."""


T = TypeVar("T")


class NamedBytes(bytes):
    """The bytes of a file that is not on this disk, and what errors call it.

    Args:
        content: The bytes.
        name: The name.
    """

    name: str

    def __new__(cls, content: bytes, name: str) -> NamedBytes:
        """Make bytes that know their name."""
        named = super().__new__(cls, content)
        named.name = name
        return named


def read_picture(source: Source | Picture, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture.

    Args:
        source: Path, encoded bytes, a file that is open for reading bytes, Pillow image, or array
            ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA of uint8, uint16 or
            floats in [0, 1]; or a torch tensor ``(H, W)`` or ``(C, H, W)`` of the same. A picture
            that has been read already is given back as it is.
        max_pixels: The most that width times height of a file may be. Pillow images and
            arrays are in memory already and are not limited.

    Returns:
        The picture, turned upright as its EXIF orientation says. An array is not copied: the
        caller's stays as it is, because :meth:`~freefill.imaging.picture.Picture.filled` copies.

    Raises:
        ImageError: If it cannot be read, or has samples that are not supported.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source)
    if isinstance(source, bytes):
        unnamed = f"the image of {len(source)} bytes"
        name = source.name if isinstance(source, NamedBytes) else unnamed
        return read_file(BytesIO(source), "bytes", name, max_pixels)
    if isinstance(source, str | os.PathLike):
        try:
            with Path(source).open("rb") as file:
                return read_file(file, "path", str(source), max_pixels)
        except FileNotFoundError:
            raise ImageError(f"{source} does not exist") from None
        except IsADirectoryError:
            raise ImageError(f"{source} is a folder, not an image") from None
        except OSError as error:
            raise ImageError(f"{source} cannot be read: {error.strerror or error}") from None
    if tensors.is_tensor(source):
        picture = _from_array(tensors.to_array(source))
        metadata = replace(picture.source_metadata, tensor=source)
        return replace(picture, kind="tensor", source_metadata=metadata)
    if callable(getattr(source, "read", None)):
        return _from_file(source, max_pixels)
    raise ImageError(
        "an image is a path, bytes, an open file, a Pillow image, an array or a tensor, not "
        f"{type(source).__name__}"
    )


def loaded(source: T) -> T | bytes:
    """Give the bytes of an open file, which can be read once; anything else as it is."""
    return source.read() if callable(getattr(source, "read", None)) else source  # type: ignore[attr-defined]


def restore(picture: Picture) -> Any:
    """Give a picture as what it was read from: array, tensor, Pillow image, or encoded bytes.

    A picture that came from a path is given as a Pillow image, one from an open file as bytes.
    """
    if picture.kind == "array":
        return picture.samples
    if picture.kind == "tensor":
        assert picture.source_metadata.tensor is not None
        return tensors.from_array(picture.samples, picture.source_metadata.tensor)
    if picture.kind == "bytes":
        return encode(picture, picture.format or "PNG")[0]
    return to_pillow(picture)


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


def _from_file(file: Any, max_pixels: int) -> Picture:
    name = str(getattr(file, "name", "the open file"))
    try:
        content = file.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read: {error}") from None
    if not isinstance(content, bytes):
        raise ImageError(f'{name} gives {type(content).__name__}: open it with mode "rb"')
    return read_file(BytesIO(content), "bytes", name, max_pixels)


def _from_pillow(image: Image.Image) -> Picture:
    limits.check_unopened(image)
    cut = is_deep(image)
    try:
        image.load()
    except MemoryError:
        raise OutOfMemoryError("there is not enough memory to read the image") from None
    except Exception as error:  # as for files: Pillow reads samples when they are asked for
        raise ImageError(f"the image cannot be read: {error}") from None
    picture = from_pillow(image, "pil", "the image")
    if cut:
        picture.notices.append(
            "the image has 16 bits a channel, of which Pillow holds 8: its path, or its bytes, "
            "keep all of them"
        )
    return picture


def _from_array(array: Samples) -> Picture:
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
    return Picture(array, {1: "L", 3: "RGB", 4: "RGBA"}[channels], "array")
