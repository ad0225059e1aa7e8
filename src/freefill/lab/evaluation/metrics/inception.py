"""The features that KID and FID compare: the last pooling of Inception-v3 of 2015-12-05.

The network is the one of the FID paper (Heusel et al., NIPS 2017), ported to TorchScript. Pictures
are resized as "On Aliased Resizing and Surprising Subtleties in GAN Evaluation" (Parmar et al.,
CVPR 2022) asks and its clean-fid does: with antialiasing, in floating point, not rounded after.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from freefill.lab.evaluation.metrics.checks import check_picture
from freefill.types import Pixels
from freefill.weights import third_party

SIDE = 299


def features(
    pictures: Sequence[Pixels], batch: int = 16, weights: Path | None = None
) -> NDArray[np.float32]:
    """Describe each picture by the features of Inception-v3.

    Pictures are resized to 299 x 299 whatever their aspect, by Pillow's bicubic filter with
    antialiasing, each channel as float32 (Pillow's mode "F"), clipped to 0..255, and go in as
    ``(x - 128) / 128``.

    Args:
        pictures: Each ``(H, W, 3)`` uint8 RGB; sizes may differ. Read one batch at a time, so a
            sequence that loads on access never has all in memory.
        batch: Pictures that go through the network together.
        weights: ``fid_inception.pt``; by default the fetched reference.

    Returns:
        ``(N, 2048)``, in the order of the pictures.

    Raises:
        ValueError: If there is no picture, one is not ``(H, W, 3)`` uint8, or ``batch`` is below 1.
        ReferenceMissingError: If the network was not fetched.
    """
    if not len(pictures) or batch < 1:
        raise ValueError(f"features needs pictures and a batch, not {len(pictures)} and {batch}")
    network = _network(weights or third_party.path("inception"))
    found = []
    with torch.inference_mode():
        for start in range(0, len(pictures), batch):
            numbers = range(start, min(start + batch, len(pictures)))
            resized = np.stack([_resize(pictures[i]) for i in numbers])
            found.append(network((torch.from_numpy(resized) - 128) / 128).numpy())
    return np.concatenate(found)


@lru_cache(maxsize=1)
def _network(path: Path) -> torch.jit.ScriptModule:
    network: torch.jit.ScriptModule = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
    return network.eval()


def _resize(picture: Pixels) -> NDArray[np.float32]:
    check_picture("features", picture)
    planes = []
    for plane in picture.transpose(2, 0, 1).astype(np.float32):
        image = Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        planes.append(np.asarray(image))
    # The bicubic filter overshoots at edges; no picture has such colours.
    return np.stack(planes).clip(0, 255)
