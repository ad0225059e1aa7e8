"""Trains by plain gradient descent: run by tests in one process and in several.

Adam divides a gradient by its own size, so that rounding of what is nearly zero becomes a whole
step. Steps in proportion to the gradient keep rounding small, and show a gradient of wrong size.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from freefill.lab.config import load
from freefill.lab.models.lpips import Lpips
from freefill.lab.training import start
from freefill.lab.training.loop import train
from freefill.lab.training.processes import leave


class Descent(torch.optim.SGD):
    def __init__(self, parameters: Iterable[Tensor], rate: float, betas: object) -> None:
        super().__init__(parameters, 20 * rate)


def main(data: str, run: str, resume: str, stop: str, *settings: str) -> None:
    # Random features stand in for VGG16.
    torch.manual_seed(0)
    metric = Lpips("vgg")
    for buffer in ("lin0", "lin1", "lin2", "lin3", "lin4"):
        metric.get_buffer(buffer).fill_(1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Descent)
        patch.setattr(start.third_party, "fetch", lambda *_: Path())
        patch.setattr(start.Lpips, "load", lambda *_: metric)
        config = load(None, settings)
        train(data, Path(run), config, resume=resume == "yes", stop_at=int(stop) or None)
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
