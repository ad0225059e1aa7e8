"""Crops with holes, made ahead of the network on threads of their own.

Each sample is a pure function of the seed and its number: there is no state to save, and a run
that is resumed at step n sees what it would have seen. Several processes make the same batch
together: each makes a share of its samples. On a CPU one thread stays ahead of the network; a GPU
is waited for by worker processes, as more threads would wait for the interpreter.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from freefill import plugins
from freefill.errors import ConfigError
from freefill.lab.config import Config, DataConfig, TrainConfig
from freefill.lab.data import guidance_samples
from freefill.lab.data.sources import Source, open_source
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
        """Hole and any guidance, ``(B, 1 or 6, S, S)``: what a discriminator is given as well."""
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


def color_jitter(
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


def check_shares(train: TrainConfig, processes: int) -> None:
    """Refuse batches that processes cannot share equally.

    Raises:
        ConfigError: Naming the stage.
    """
    for number, stage in enumerate(train.stages):
        if stage.batch % processes:
            raise ConfigError(
                f"train.stages.{number}.batch is {stage.batch}, which {processes} processes "
                "cannot share equally"
            )


class Batches:
    """Makes the batch of any step, or one process's share of it.

    Args:
        source: The photos.
        config: How to cut, change and mask them, how many a step takes, and the seed of the run.
        rank: Number of this process.
        processes: How many there are; each makes an equal share of every batch.

    Raises:
        ConfigError: If a batch cannot be shared equally.
    """

    def __init__(self, source: Source, config: Config, rank: int = 0, processes: int = 1) -> None:
        self.source = source
        self.data, self.train = config.data, config.train
        self.guidance = config.guidance if config.guidance.on else None
        self.rank, self.processes = rank, processes
        check_shares(self.train, processes)

    def sample(
        self, step: int, number: int, side: int, photo: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32] | None]:
        """Make a sample.

        Args:
            step: Number of the step, from 0.
            number: Number of the sample in the step.
            side: Side of the crop, in pixels.
            photo: Number of the sample in the run, which its photo goes by.

        Returns:
            A crop ``(S, S, 3)`` in [-1, 1], its hole, any guidance ``(S, S, 5)``.
        """
        rng = np.random.default_rng([self.train.seed, step, number])
        cut = crop(self.source.photo(photo, side), side, rng, self.data)
        pixels = cut.astype(np.float32) / np.float32(255)
        pixels = color_jitter(pixels, rng, self.data.colour)
        hole = mixture(self.data.masks, side, side, rng)
        drawn = None
        if self.guidance is not None:
            chances = dataclasses.asdict(self.guidance)
            pixels, drawn = guidance_samples.sample(pixels, hole, rng, **chances)
        return pixels * 2 - 1, hole, drawn

    def batch(self, step: int, number: int = 0) -> Batch:
        """Make a batch of a step, or this process's share of it.

        Args:
            step: Number of the step, from 0.
            number: Which of the step's batches, from 0.

        Returns:
            The batch; the same for the same photos, settings, step and number. The shares of all
            processes, in the order of their ranks, are the batch of a single one.
        """
        stage = self.train.stage_at(step)
        share = stage.batch // self.processes
        first = number * stage.batch
        # Every batch takes the photos that follow those of the one before.
        photos = self.train.crops(step) * self.train.batches
        mine = range(first + self.rank * share, first + (self.rank + 1) * share)
        made = [self.sample(step, i, stage.crop, photos + i) for i in mine]
        holes = [hole for _, hole, _ in made]
        if self.data.shared_hole:
            shared = holes[0] if self.rank == 0 else self._hole(step, first, stage.crop, photos)
            holes = [shared] * share
        drawn = [guidance for _, _, guidance in made if guidance is not None]
        return Batch(
            _planes([pixels for pixels, _, _ in made]),
            torch.from_numpy(np.stack(holes)[:, None].astype(np.float32)),
            _planes(drawn) if drawn else None,
        )

    def _hole(self, step: int, first: int, side: int, photos: int) -> NDArray[np.bool_]:
        return self.sample(step, first, side, photos + first)[1]

    def step(self, step: int) -> list[Batch]:
        """Make a step's batches: one for both networks, or one for each."""
        return [self.batch(step, number) for number in range(self.train.batches)]

    def ahead(self, first: int) -> Iterator[list[Batch]]:
        """Yield each step's batches, from ``first`` to the last, made ahead of their use."""
        with ThreadPoolExecutor(1) as pool:
            waiting: deque[Future[list[Batch]]] = deque()
            for step in range(first, self.train.steps):
                waiting.append(pool.submit(self.step, step))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


class Steps(Dataset[list[Batch]]):
    """The same for worker processes, each of which opens the photos for itself.

    Args:
        data: What ``--data`` names.
        config: As of :class:`Batches`.
        rank: As of :class:`Batches`.
        processes: As of :class:`Batches`.
    """

    def __init__(self, data: str, config: Config, rank: int, processes: int) -> None:
        self.data, self.config, self.rank, self.processes = data, config, rank, processes
        self.batches: Batches | None = None

    def __getitem__(self, step: int) -> list[Batch]:
        """Make a step's batches."""
        if self.batches is None:
            # Mask presets may be theirs, and this is a fresh process.
            plugins.load(self.config.plugins)
            source = open_source(self.data, self.config.data, self.config.train.seed, _print)
            self.batches = Batches(source, self.config, self.rank, self.processes)
        return self.batches.step(step)

    def ahead(self, first: int) -> Iterator[list[Batch]]:
        """Yield each step's batches, from ``first`` to the last, made ahead of their use."""
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first, self.config.train.steps),
            num_workers=self.config.data.workers,
            prefetch_factor=AHEAD // 2,
            collate_fn=_as_it_is,
            multiprocessing_context="spawn",
        )
        yield from loader


def _print(line: str) -> None:
    print(f"freefill: {line}", file=sys.stderr)


def _as_it_is(made: list[Batch]) -> list[Batch]:
    return made


def _planes(arrays: list[NDArray[np.float32]]) -> Tensor:
    """Stack ``(S, S, C)`` to ``(B, C, S, S)``."""
    return torch.from_numpy(np.ascontiguousarray(np.stack(arrays).transpose(0, 3, 1, 2)))
