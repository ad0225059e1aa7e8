"""Torch tensors in and out, without importing torch: whoever hands one over has loaded it.

Torch's order is channels first: ``(H, W)``, ``(C, H, W)``, or ``(B, C, H, W)`` for several.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray


class Tensor(Protocol):
    """What is used of a torch tensor."""

    @property
    def dtype(self) -> Any: ...  # noqa: D102
    @property
    def device(self) -> Any: ...  # noqa: D102
    @property
    def ndim(self) -> int: ...  # noqa: D102
    def detach(self) -> Any: ...  # noqa: D102


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether something is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Give a tensor ``(H, W)`` or ``(C, H, W)`` as an array ``(H, W)`` or ``(H, W, C)``.

    Half-precision floats become float32, which holds each of them exactly.
    """
    torch = sys.modules["torch"]
    plain = tensor.detach().cpu()
    if plain.dtype in (torch.bfloat16, torch.float16):
        plain = plain.float()
    array: NDArray[Any] = plain.numpy()
    return array.transpose(1, 2, 0) if array.ndim == 3 else array


def from_array(array: NDArray[Any], like: Tensor) -> Any:
    """Give an array as a tensor of another's order of channels, type and device."""
    torch = sys.modules["torch"]
    if like.ndim == 3 and array.ndim == 2:
        array = array[..., None]
    planar = array.transpose(2, 0, 1) if array.ndim == 3 else array
    return torch.from_numpy(np.ascontiguousarray(planar)).to(like.device, like.dtype)


def stack(tensors: Sequence[Any]) -> Any:
    """Put tensors of one shape behind each other: ``(B, ...)``."""
    return sys.modules["torch"].stack(list(tensors))
