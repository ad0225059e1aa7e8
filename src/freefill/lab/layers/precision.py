"""Where bf16 is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def float32() -> Iterator[None]:
    """Compute in float32 inside autocast, on whatever device."""
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield
