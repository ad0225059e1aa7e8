"""Previews: held-out photos with fixed holes, filled by the moving average as training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from freefill.lab.config import DataConfig
from freefill.lab.data.batches import crop
from freefill.masks.presets import free_form

SHOWN = 8


class Preview:
    """A fixed set of photos and holes.

    Args:
        photos: ``(H, W, 3)`` uint8 RGB, at least one.
        side: Side of the crops, in pixels.
    """

    def __init__(self, photos: Sequence[NDArray[np.uint8]], side: int) -> None:
        whole = DataConfig(min_scale=1.0, flip=False)
        images, holes = [], []
        for number, photo in enumerate(photos):
            rng = np.random.default_rng(number)
            images.append(crop(photo, side, rng, whole))
            holes.append(free_form(side, side, rng))
        self.pixels = np.stack(images)
        self.holes = np.stack(holes)

    @torch.no_grad()
    def write(self, network: nn.Module, folder: Path, step: int) -> tuple[float, NDArray[np.uint8]]:
        """Fill all of them, write a sheet of the first eight, and measure.

        Args:
            network: The generator.
            folder: Where ``step-NNNNNN.jpg`` is written: masked, filled and true, a row a photo.
            step: Number in the file's name.

        Returns:
            Mean absolute error inside the holes, in the unit of the loss l1 (pixels are in
            [-1, 1]); and the sheet, ``(H, W, 3)``.
        """
        device = next(network.parameters()).device
        sums, rows = [], []
        for number, (pixels, mask) in enumerate(zip(self.pixels, self.holes, strict=True)):
            image = torch.from_numpy(pixels.transpose(2, 0, 1)[None] / np.float32(127.5) - 1)
            hole = torch.from_numpy(mask[None, None].astype(np.float32))
            predicted = network(image.to(device), hole.to(device)).float().cpu()
            filled = predicted.clamp(-1, 1)[0].numpy().transpose(1, 2, 0) * 127.5 + 127.5
            sums.append(float(np.abs(filled[mask] - pixels[mask]).mean()) / 127.5)
            if number < SHOWN:
                seen = np.where(mask[..., None], 128, pixels)
                result = np.where(mask[..., None], filled.round(), pixels)
                rows.append(np.concatenate([seen, result, pixels], 1))
        folder.mkdir(exist_ok=True)
        half = (len(rows) + 1) // 2
        columns = [np.concatenate(rows[:half], 0)]
        if len(rows) > half:
            columns.append(np.concatenate(rows[half:], 0))
        height = max(c.shape[0] for c in columns)
        padded = [np.pad(c, ((0, height - c.shape[0]), (0, 0), (0, 0))) for c in columns]
        sheet = np.concatenate(padded, 1).astype(np.uint8)
        Image.fromarray(sheet).save(folder / f"step-{step:06}.jpg", quality=88)
        return float(np.mean(sums)), sheet
