"""Pictures in and out: any kind of source to a :class:`Picture`, and back to that kind."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.arguments import shown
from freefill.errors import FreefillWarning, ImageError, OutOfMemoryError, plural
from freefill.imaging import tensors
from freefill.imaging.codecs import Samples
from freefill.imaging.formats import MAX_PIXELS, heif, limits
from freefill.imaging.formats.from_pillow import from_pillow
from freefill.imaging.formats.high_bit_depth import is_deep
from freefill.imaging.formats.reader import read_file
from freefill.imaging.formats.writer import encode
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import rounded_by_pillow, to_pillow

__all__ = [
    "BinaryFile",
    "NamedBytes",
    "Source",
    "as_array",
    "encode",
    "format_of",
    "loaded",
    "name_of",
    "path_of",
    "read_picture",
    "restore",
    "restored",
]


class BinaryFile(Protocol):
    """What is used of an open file: any that gives bytes, from a disk, a zip or a socket."""

    def read(self) -> bytes: ...  # noqa: D102


Source = str | os.PathLike[str] | bytes | BinaryFile | Image.Image | NDArray[Any] | tensors.Tensor
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
    if isinstance(source, Image.Image):
        return _from_pillow(source)
    if isinstance(source, str | os.PathLike):
        return _from_path(path_of(source, "image"), max_pixels)
    source = loaded(source)
    if isinstance(source, bytes):
        unnamed = f"the image of {plural(len(source), 'byte')}"
        name = source.name if isinstance(source, NamedBytes) else unnamed
        return read_file(BytesIO(source), "bytes", name, max_pixels)
    array = as_array(source)
    if array is None:
        raise ImageError(
            "an image is a path, bytes, an open file, a Pillow image, an array or a tensor, or a "
            f"list of these, not {_kind_of(source)}"
        )
    picture = _from_array(array)
    if tensors.is_tensor(source):
        metadata = replace(picture.source_metadata, tensor=source)
        return replace(picture, kind="tensor", source_metadata=metadata)
    return picture


def as_array(source: object) -> NDArray[Any] | None:
    """Give the plain array that an array or a tensor is; ``None`` for anything else.

    Raises:
        ImageError: If it is one whose values cannot be taken as they are.
    """
    if tensors.is_tensor(source):
        return tensors.to_array(source)
    if isinstance(source, np.ma.MaskedArray):
        raise ImageError("a masked array has values that do not count: pass its `data`")
    # What other subclasses (memory maps, matrices) do with an index is their own affair.
    return np.asarray(source) if isinstance(source, np.ndarray) else None


def loaded(source: T) -> T | NamedBytes:
    """Give the bytes of an open file, from its beginning; anything else as it is.

    The file stays open. One that cannot go back is read from where it is.

    Raises:
        ImageError: If it cannot be read, or gives text.
    """
    if not _is_file(source):
        return source
    named = getattr(source, "name", None)
    name = named if isinstance(named, str) else "the open file"
    content: object = ""
    try:
        seekable = getattr(source, "seekable", None)
        if callable(seekable) and seekable():
            source.seek(0)  # type: ignore[attr-defined]
        content = source.read()
    except UnicodeDecodeError:
        pass  # it gives text, or would
    except Exception as error:  # whatever stands behind it has errors of its own
        raise ImageError(f"{name} cannot be read: {error or type(error).__name__}") from None
    if not isinstance(content, bytes):
        raise ImageError(f'{name} gives {type(content).__name__}, not bytes: open it as "rb"')
    return NamedBytes(content, name)


def name_of(source: object) -> str:
    """Say what a source is called in a log: a file by its name."""
    if isinstance(source, NamedBytes):
        return source.name
    return str(source) if isinstance(source, str | os.PathLike) else "the image"


def path_of(value: object, name: str) -> Path:
    """Give a path as a :class:`~pathlib.Path`.

    Args:
        value: What an argument was given.
        name: The argument's.

    Raises:
        ImageError: If it is none.
    """
    try:
        return Path(value)  # type: ignore[arg-type]
    except TypeError:
        raise ImageError(f"{shown(name, value)}: it must be a path") from None


def restored(picture: Picture) -> tuple[Any, list[str]]:
    """Give a picture as what it was read from: array, tensor, Pillow image, or encoded bytes.

    A picture that came from a path is given as a Pillow image, one from an open file as bytes.

    Returns:
        It, and lines that a person should read: what it cannot hold of the picture.

    Raises:
        ImageError: If its format cannot be written.
    """
    if picture.kind == "array":
        return picture.samples, []
    if picture.kind == "tensor":
        assert picture.source_metadata.tensor is not None
        return tensors.from_array(picture.samples, picture.source_metadata.tensor), []
    if picture.kind == "bytes":
        return encode(picture, picture.format or "PNG")
    return to_pillow(picture), rounded_by_pillow(picture)


def restore(picture: Picture) -> Any:
    """Give a picture as what it was read from, and warn where a Pillow image cannot hold it."""
    value, notices = restored(picture)
    for line in notices if isinstance(value, Image.Image) else ():
        warnings.warn(line, FreefillWarning, stacklevel=3)
    return value


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


def _from_path(path: Path, max_pixels: int) -> Picture:
    try:
        with path.open("rb") as file:
            return read_file(file, "path", str(path), max_pixels)
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not an image") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from None
    except ImageError:
        raise
    except ValueError as error:  # a name that no file can have
        raise ImageError(f"{str(path)!r} cannot be read: {error}") from None


def _is_file(source: object) -> TypeGuard[BinaryFile]:
    return callable(getattr(source, "read", None)) and not isinstance(source, type | Image.Image)


def _kind_of(source: object) -> str:
    return f"the class {source.__name__}" if isinstance(source, type) else type(source).__name__


def _from_pillow(image: Image.Image) -> Picture:
    limits.check_unopened(image)
    try:
        cut = is_deep(image)
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
            f"an image array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {array.shape}; "
            "several are a list"
        )
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            todo = ": divide it by its white, e.g. 255" if 1 < high < np.inf else ""
            raise ImageError(
                f"a float image holds values in [0, 1], this one {low:g} to {high:g}{todo}"
            )
    elif array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ImageError(f"an image array is uint8, uint16 or float, not {array.dtype}")
    return Picture(array, {1: "L", 3: "RGB", 4: "RGBA"}[channels], "array")
