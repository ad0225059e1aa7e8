"""Pictures as people have them: any kind of source, in the samples it came with.

A :class:`Picture` keeps the source's own samples (mode, bit depth, palette, alpha, metadata) and
changes only those inside the hole: everything else is the input's, bit for bit. Colour as the
network wants it, float32 RGB in [0, 1], exists only for crops.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ImageError
from freefill.imaging.box import Box
from freefill.imaging.codecs import Layout, Samples
from freefill.types import Mask, Rgb

if TYPE_CHECKING:
    from freefill.imaging.formats.ifd import Directory
    from freefill.imaging.formats.png import Chunk
    from freefill.imaging.tensors import Tensor

TINT = 2 / 255
"""How far the channels of a grey photo may differ, as those of a JPEG do after rounding."""

Kind = Literal["path", "bytes", "pil", "array", "tensor"]
"""What a picture was read from: a file, its bytes, a Pillow image, an array, a torch tensor."""


@dataclass(frozen=True)
class SourceMetadata:
    """What only the source's own file format can hold, and which its writer puts back.

    Attributes:
        orientation: How the file says that it has to be turned, an EXIF orientation of 1 to 8; the
            samples have been.
        chunks: Of a PNG.
        colour: PNG's number for how its samples are stored; -1 for none.
        tags: Of a TIFF.
        jpeg: All of a JPEG, for its segments and coefficients.
        reencode: Whether more of the samples are new than those that were filled: nothing of the
            file's own coding can be kept then.
        tensor: The torch tensor that it was, for its order, type and device.
    """

    orientation: int = 1
    chunks: tuple[Chunk, ...] = ()
    colour: int = -1
    tags: Directory | None = None
    jpeg: bytes | None = None
    reencode: bool = False
    tensor: Tensor | None = None


@dataclass
class Picture:
    """One picture in its source's own samples.

    Attributes:
        samples: ``(H, W)`` or ``(H, W, C)`` as the source holds them.
        mode: Pillow's name for them (``RGB``, ``LA``, ``P``, ``I;16``, ...).
        kind: What it was read from, and so what :func:`freefill.imaging.io.restore` gives back.
        format: Pillow's name of the file format, if it came from one.
        info: Metadata to keep: ICC profile, EXIF, DPI and the like.
        palette: ``(N, 3)`` uint8 colours of a ``P`` picture.
        notices: Lines that a person should read (first frame of an animation, ...).
        source_metadata: What only the source's own format holds.
        changed_mask: ``(H, W)``, True where pixels were filled; ``None`` if none were.
    """

    samples: Samples
    mode: str
    kind: Kind
    format: str | None = None
    info: dict[str, Any] = field(default_factory=dict)
    palette: NDArray[np.uint8] | None = None
    notices: list[str] = field(default_factory=list)
    source_metadata: SourceMetadata = field(default_factory=SourceMetadata)
    changed_mask: Mask | None = None

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

    def is_grey(self, where: Mask) -> bool:
        """Whether a picture that is stored in colours has none.

        Args:
            where: ``(H, W)``: the pixels that are looked at.

        Returns:
            Whether their channels differ by :data:`TINT` of the full range at most; ``False`` for
            modes of grey, and if no pixel is looked at.
        """
        if self.mode not in ("RGB", "RGBA", "CMYK") or not where.any():
            return False
        most = TINT * self.layout.peak
        # A few pixels tell of most photos; else rows, so that no copy of a large photo is made.
        parts = [(slice(None, None, 16), slice(None, None, 16))]
        parts += [(slice(top, top + 256), slice(None)) for top in range(0, self.size[0], 256)]
        for part in parts:
            colours = self.samples[part][where[part], :3]
            if colours.size and float((colours.max(1) - colours.min(1)).max()) > most:
                return False
        return True

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
            band = Box(
                left=box.left, top=top, right=box.right, bottom=min(top + factor, box.bottom)
            )
            small[row] = np.add.reduceat(self.rgb(band).mean(0), starts, axis=0) / counts
        return small

    def filled(self, patches: Iterable[tuple[Box, Mask, Rgb]], opaque: bool) -> Picture:
        """Write colours into holes.

        Args:
            patches: Box, hole ``(h, w)`` and colours ``(h, w, 3)`` in [0, 1] of each.
            opaque: Whether filled pixels become opaque, where there is alpha.

        Returns:
            A new picture; its samples outside the holes are this one's.
        """
        return self.painted(
            ((box, hole, self._samples_of(rgb[hole])) for box, hole, rgb in patches), opaque
        )

    def _samples_of(self, colours: NDArray[Any]) -> Samples:
        """Give ``(N, 3)`` colours in [0, 1] as ``(N, C)`` samples without alpha."""
        values = self.layout.from_rgb(colours)
        return values[:, None] if values.ndim == 1 else values

    def painted(self, parts: Iterable[tuple[Box, Mask, Samples]], opaque: bool) -> Picture:
        """Write samples into holes: nothing is rounded on the way.

        Args:
            parts: Box, hole ``(h, w)`` and what is written, of each, without alpha: one colour,
                ``(C,)``, or one for each of the hole's pixels, ``(N, C)``.
            opaque: Whether filled pixels become opaque, where there is alpha.

        Returns:
            A new picture; its samples outside the holes are this one's.
        """
        samples = self.samples.copy()
        changed = (
            np.zeros(self.size, bool) if self.changed_mask is None else self.changed_mask.copy()
        )
        for box, hole, values in parts:
            changed[box.window] |= hole
            target = samples[box.window]
            if target.ndim == 2:
                target[hole] = values[..., 0]
                continue
            target[hole, : values.shape[-1]] = values
            if self.has_alpha and opaque:
                target[hole, -1] = self.layout.peak
        return replace(self, samples=samples, changed_mask=changed if changed.any() else None)

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
            self,
            samples=samples,
            changed_mask=None,
            source_metadata=replace(self.source_metadata, reencode=True),
        )

    def changed(self, samples: Samples) -> Picture:
        """Give this picture with other samples here and there.

        Args:
            samples: Of the same shape and dtype; where they differ counts as filled.

        Returns:
            A new picture.
        """
        changed = samples != self.samples
        changed = changed.any(-1) if changed.ndim == 3 else changed
        changed = changed if self.changed_mask is None else changed | self.changed_mask
        return replace(self, samples=samples, changed_mask=changed if changed.any() else None)

    def mixed(self, before: Picture, share: NDArray[np.float32]) -> Picture:
        """Let what was there before the fill be seen through it.

        Args:
            before: The picture that was filled.
            share: ``(H, W)`` in [0, 1]: how much of the fill is seen. Outside the hole it is not
                looked at.

        Returns:
            A new picture.
        """
        if self.changed_mask is None:
            return self
        soft = self.changed_mask & (share < 1)
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
