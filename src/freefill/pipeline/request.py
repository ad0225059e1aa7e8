"""What a fill is asked for, and what comes back: the same for every caller.

Command line, folders, batch, server and tasks make one :class:`FillRequest` a photo, and
:meth:`freefill.pipeline.inpainter.Inpainter.run` answers it by one :class:`Result`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast, get_args

from freefill.arguments import check_choice, check_flag, check_whole
from freefill.errors import GuidanceError, ImageError, MaskError
from freefill.imaging.box import Box
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.formats.writer import has_writer
from freefill.imaging.io import Source, encode, loaded, restore
from freefill.imaging.picture import Picture
from freefill.masks.convert import Fit, to_mask
from freefill.masks.morphology import grow
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.tiling import Crop
from freefill.types import Mask

T_co = TypeVar("T_co", covariant=True)

LARGEST_GROWTH = 256
ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}
"""Of formats whose ending is not just their name."""


@dataclass(frozen=True, kw_only=True)
class FillOptions:
    """How photos are filled.

    Attributes:
        invert: The mask marks what to keep.
        grow: Pixels by which the hole is widened, 0 to 256.
        fit: ``"resize"`` brings a mask, sketch or strokes of another size to the photo's;
            ``"exact"`` refuses them.
        soft: Where the mask is not fully white the photo is seen through the fill: not at all where
            it is white, entirely where it is half bright.
        max_pixels: The most that width times height of any file may be.

    Raises:
        MaskError: If one of the others has an impossible value.
        ConfigError: If ``max_pixels`` has.
    """

    invert: bool = False
    grow: int = 0
    fit: Fit = "exact"
    soft: bool = False
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Refuse what would mean something else: "no" is true, and ``True`` is 1."""
        check_flag("invert", self.invert, MaskError)
        check_whole("grow", self.grow, 0, LARGEST_GROWTH, what="whole pixels", error=MaskError)
        check_choice("fit", self.fit, get_args(Fit), MaskError)
        check_flag("soft", self.soft, MaskError)
        check_whole("max_pixels", self.max_pixels, 1)


@dataclass(frozen=True, eq=False)
class FillRequest:
    """One photo to fill.

    Attributes:
        image: The photo.
        mask: White = fill. ``None`` or the word ``"alpha"``: the photo's transparent part.
        sketch: Lines that the fill is to follow.
        colour: Strokes of colour that it is to take up, on a transparent ground.
        guidance: Both of them, where they have been read already.
        options: How.
    """

    image: Source | Picture
    mask: Source | Picture | None = None
    sketch: Source | Picture | None = None
    colour: Source | Picture | None = None
    guidance: Guidance | None = None
    options: FillOptions = FillOptions()

    def loaded(self) -> FillRequest:
        """Give it with the bytes of open files, which are asked for more than once.

        The photo's own is left as it is.

        Raises:
            MaskError: If the mask's file cannot be read.
            GuidanceError: If that of the sketch or of the strokes cannot.
        """
        kinds = {"mask": MaskError, "sketch": GuidanceError, "colour": GuidanceError}
        read: dict[str, Any] = {}
        for name, kind in kinds.items():
            try:
                read[name] = loaded(getattr(self, name))
            except ImageError as error:
                raise kind(f"{name}: {error}") from None
        return replace(self, **read)

    def hole_in(self, picture: Picture) -> tuple[Mask, list[str]]:
        """Make the mask the hole of the photo.

        Args:
            picture: The photo, read.

        Returns:
            The hole, ``(H, W)`` bool, and lines that a person should read.

        Raises:
            MaskError: If the mask cannot be read or used, or does not fit.
        """
        options = self.options
        hole, notices = to_mask(
            self.mask,
            picture,
            invert=options.invert,
            fit=options.fit,
            max_pixels=options.max_pixels,
        )
        # NumPy's small integers would overflow where a width is made of them.
        return grow(hole, int(options.grow)), notices

    def guidance_for(self, picture: Picture) -> Guidance | None:
        """Read sketch and strokes, if there are any.

        Args:
            picture: The photo, read.

        Returns:
            The guidance.

        Raises:
            GuidanceError: If they cannot be used, or do not fit.
        """
        if self.sketch is None and self.colour is None:
            return self.guidance
        options = self.options
        return Guidance.read(
            picture.size,
            self.sketch,
            self.colour,
            fit=options.fit,
            max_pixels=options.max_pixels,
        )


@dataclass(frozen=True, eq=False)
class Result(Generic[T_co]):
    """What became of a fill, or of a task: ``Result[T]``, where ``image`` is a ``T``.

    Attributes:
        picture: The new picture, in the first source's mode, format and metadata.
        mask: ``(H, W)`` bool, of its size: True where what is seen was made up.
        notices: Lines that a person should read.
        info: What was found out on the way and may be worth knowing, e.g. ``{"angle": 1.5}``.
        crops: What the network was shown, where it was a fill.
        even: Boxes of what it was not asked for: one colour all around, and filled with it.
        offered: Masks that may have been meant instead, by what they take along (``reflection``).
    """

    picture: Picture
    mask: Mask
    notices: tuple[str, ...] = ()
    info: dict[str, float | str] = field(default_factory=dict)
    crops: tuple[Crop, ...] = ()
    even: tuple[Box, ...] = ()
    offered: dict[str, Mask] = field(default_factory=dict)

    @property
    def image(self) -> T_co:
        """The new picture as what the first source was: array, tensor, Pillow image, or bytes.

        A Pillow image for a path, bytes for an open file.
        """
        return cast(T_co, restore(self.picture))

    def encode(self, file_format: str | None = None, *, strip: bool = False) -> Encoded:
        """Encode the new picture.

        Args:
            file_format: Pillow's name, e.g. ``PNG``; by default the photo's own.
            strip: Whether to leave out EXIF, XMP, GPS, comments and texts; the colour profile and
                the resolution stay.

        Returns:
            The file, and all lines that a person should read.

        Raises:
            ImageError: If the format cannot be written, or cannot hold what the picture has.
        """
        chosen = file_format or own_format(self.picture)
        content, more = encode(self.picture, chosen, strip=strip)
        return Encoded(self, content, chosen, (*self.notices, *more))

    @property
    def share(self) -> float:
        """How much of the picture the network made up, 0 to 1."""
        return float(self.mask.mean())


@dataclass(frozen=True, eq=False)
class Encoded:
    """A result as a file.

    Attributes:
        result: The result.
        content: The file.
        file_format: Pillow's name of its format.
        notices: Lines that a person should read.
    """

    result: Result[Any]
    content: bytes
    file_format: str
    notices: tuple[str, ...] = ()

    @property
    def ending(self) -> str:
        """What a file of the format ends in, e.g. ``.jpg``."""
        return ENDINGS.get(self.file_format, f".{self.file_format.lower()}")


def own_format(picture: Picture) -> str:
    """Give the format of a photo's file, if results can be written in it.

    Args:
        picture: One that was read from anything; PNG where that was no file.

    Returns:
        Pillow's name.

    Raises:
        ImageError: If such files can only be read.
    """
    found = picture.format or "PNG"
    if not has_writer(found):
        raise ImageError(
            f'results cannot be written as {found}: choose a format, `file_format="png"`'
        )
    return found
