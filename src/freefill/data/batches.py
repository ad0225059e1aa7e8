"""Crops with holes, made ahead of the network on a thread of their own.

Each sample is a pure function of the seed and its number: there is no state to save, and a run
that is resumed at step n sees what it would have seen. Resizing releases the interpreter lock, so
one thread is enough to stay ahead of the network on a CPU.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from freefill.config import DataConfig, GuidanceConfig, StageConfig, TrainConfig
from freefill.data.photos import PhotoStore, sampling_weights
from freefill.guidance import samples
from freefill.masks.presets import mixture

AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """What one step trains on.

    Attributes:
        image: ``(B, 3, S, S)`` float32 in [-1, 1].
        hole: ``(B, 1, S, S)`` float32, 1 = fill.
        guidance: ``(B, 5, S, S)`` float32, or ``None`` where the run has none.
    """

    image: Tensor
    hole: Tensor
    guidance: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Move all tensors."""
        return Batch(
            self.image.to(device, non_blocking=True),
            self.hole.to(device, non_blocking=True),
            None if self.guidance is None else self.guidance.to(device, non_blocking=True),
        )

    def parts(self, count: int) -> list[Batch]:
        """Divide it into batches of about the same size."""
        images, holes = self.image.chunk(count), self.hole.chunk(count)
        guidance = [None] * len(images) if self.guidance is None else self.guidance.chunk(count)
        return [Batch(*part) for part in zip(images, holes, guidance, strict=True)]

    @property
    def conditions(self) -> Tensor:
        """What a discriminator is told: the hole and any guidance, ``(B, 1 or 6, S, S)``."""
        return self.hole if self.guidance is None else torch.cat([self.hole, self.guidance], 1)


def crop(
    photo: NDArray[np.uint8], side: int, rng: np.random.Generator, config: DataConfig
) -> NDArray[np.uint8]:
    """Cut a random square, at a random scale, perhaps mirrored.

    Args:
        photo: ``(H, W, 3)`` uint8.
        side: Side of the result, in pixels.
        rng: Source of all randomness.
        config: ``min_scale`` and ``flip``.

    Returns:
        ``(side, side, 3)`` uint8; a photo smaller than that is enlarged.
    """
    height, width = photo.shape[:2]
    scale = rng.uniform(config.min_scale, 1)
    window = min(round(side / scale), height, width)
    top = int(rng.integers(0, height - window + 1))
    left = int(rng.integers(0, width - window + 1))
    cut = photo[top : top + window, left : left + window]
    if window != side:
        method = Image.Resampling.BOX if window >= 2 * side else Image.Resampling.BICUBIC
        cut = np.asarray(Image.fromarray(np.ascontiguousarray(cut)).resize((side, side), method))
    if config.flip and rng.random() < 0.5:
        cut = cut[:, ::-1]
    return cut


def recolour(
    pixels: NDArray[np.float32], rng: np.random.Generator, strength: float
) -> NDArray[np.float32]:
    """Change brightness, contrast and channel balance at random.

    Args:
        pixels: Any shape ending in 3, in [0, 1].
        rng: Source of all randomness.
        strength: Largest relative change; 0 returns the input.

    Returns:
        The changed pixels, clipped to [0, 1].
    """
    if not strength:
        return pixels
    gain = 1 + rng.uniform(-strength, strength) + rng.uniform(-strength, strength, 3) / 2
    offset = rng.uniform(-strength, strength) / 2
    changed = (pixels - 0.5) * gain.astype(np.float32) + np.float32(0.5 + offset)
    return np.clip(changed, 0, 1, out=changed)


class Batches:
    """Makes the batch of any step.

    Args:
        store: The photos.
        indices: Which of them to draw from.
        data: How to cut, change and mask them.
        seed: Seed of the run.
        guidance: How many samples have a sketch or strokes.
    """

    def __init__(
        self,
        store: PhotoStore,
        indices: Sequence[int],
        data: DataConfig,
        seed: int,
        guidance: GuidanceConfig | None = None,
    ) -> None:
        views = store.views()
        self.photos = [views[i] for i in indices]
        chances = sampling_weights([store.names[i] for i in indices], data.weights)
        self.cumulative = np.cumsum(chances)
        self.data = data
        self.seed = seed
        self.guidance = guidance if guidance is not None and guidance.on else None

    def sample(
        self, step: int, number: int, side: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32] | None]:
        """Make a sample: a crop ``(S, S, 3)`` in [-1, 1], its hole, any guidance ``(S, S, 5)``."""
        rng = np.random.default_rng([self.seed, step, number])
        chosen = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
        photo = self.photos[min(chosen, len(self.photos) - 1)]
        pixels = crop(photo, side, rng, self.data).astype(np.float32) / np.float32(255)
        pixels = recolour(pixels, rng, self.data.colour)
        hole = mixture(self.data.masks, side, side, rng)
        drawn = None
        if self.guidance is not None:
            chances = dataclasses.asdict(self.guidance)
            pixels, drawn = samples.sample(pixels, hole, rng, **chances)
        return pixels * 2 - 1, hole, drawn

    def batch(self, step: int, stage: StageConfig, number: int = 0) -> Batch:
        """Make a batch of a step.

        Args:
            step: Number of the step, from 0.
            stage: Gives crop side and batch size.
            number: Which of the step's batches, from 0.

        Returns:
            The batch; the same for the same seed, step, stage and number.
        """
        first = number * stage.batch
        made = [self.sample(step, first + i, stage.crop) for i in range(stage.batch)]
        holes = [made[0][1] if self.data.shared_hole else hole for _, hole, _ in made]
        hole = np.stack(holes)[:, None].astype(np.float32)
        drawn = [guidance for _, _, guidance in made if guidance is not None]
        return Batch(
            _planes([pixels for pixels, _, _ in made]),
            torch.from_numpy(hole),
            _planes(drawn) if drawn else None,
        )

    def ahead(self, first: int, train: TrainConfig) -> Iterator[list[Batch]]:
        """Yield each step's batches, from ``first`` to the last, made ahead of their use.

        There is one for both networks, or one for the generator and one for the discriminator.
        """
        numbers = range(2 if train.separate_batches else 1)

        def make(step: int) -> list[Batch]:
            return [self.batch(step, train.stage_at(step), number) for number in numbers]

        with ThreadPoolExecutor(1) as pool:
            waiting: deque[Future[list[Batch]]] = deque()
            for step in range(first, train.steps):
                waiting.append(pool.submit(make, step))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _planes(arrays: list[NDArray[np.float32]]) -> Tensor:
    """Stack ``(S, S, C)`` to ``(B, C, S, S)``."""
    return torch.from_numpy(np.ascontiguousarray(np.stack(arrays).transpose(0, 3, 1, 2)))
