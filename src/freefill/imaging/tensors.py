"""Torch tensors in and out, without importing torch: whoever hands one over has loaded it.

Torch's order is channels first: ``(H, W)``, ``(C, H, W)``, or ``(B, C, H, W)`` for several.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ImageError


class Tensor(Protocol):
    """What is used of a torch tensor."""

    @property
    def dtype(self) -> Any: ...  # noqa: D102
    @property
    def device(self) -> Any: ...  # noqa: D102
    @property
    def ndim(self) -> int: ...  # noqa: D102
    @property
    def shape(self) -> Any: ...  # noqa: D102
    def detach(self) -> Any: ...  # noqa: D102


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether something is a torch tensor."""
    kind = getattr(sys.modules.get("torch"), "Tensor", None)
    return kind is not None and isinstance(value, kind)


def is_bool(tensor: Tensor) -> bool:
    """Whether a tensor holds truth values."""
    return str(tensor.dtype) == "torch.bool"


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Give a tensor ``(H, W)`` or ``(C, H, W)`` as an array ``(H, W)`` or ``(H, W, C)``.

    Half-precision floats become float32, which holds each of them exactly.

    Raises:
        ImageError: If it has other dimensions, or holds no numbers that can be seen (sparse, on
            torch's meta device, quantised).
    """
    torch = sys.modules["torch"]
    if getattr(tensor, "is_nested", False):
        raise ImageError("a nested tensor has no one shape: pass a list of tensors")
    shape = tuple(tensor.shape)
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and shape[0] not in (1, 3, 4)):
        raise ImageError(
            "a tensor is (H, W) or (C, H, W) with C 1, 3 or 4, and several images are "
            f"(B, C, H, W); this one is {shape}"
        )
    try:
        plain = tensor.detach().cpu().resolve_conj().resolve_neg()
        if plain.dtype in (torch.bfloat16, torch.float16):
            plain = plain.float()
        array: NDArray[Any] = plain.numpy()
    except (TypeError, RuntimeError, ValueError) as error:  # torch has an error for each kind
        reason = str(error).strip().partition("\n")[0]
        raise ImageError(
            f"a tensor of {tensor.dtype} on {tensor.device} cannot be read: {reason}"
        ) from None
    return array.transpose(1, 2, 0) if array.ndim == 3 else array


def from_array(array: NDArray[Any], like: Tensor) -> Any:
    """Give an array as a tensor of another's order of channels, type and device."""
    torch = sys.modules["torch"]
    if like.ndim == 3 and array.ndim == 2:
        array = array[..., None]
    planar = array.transpose(2, 0, 1) if array.ndim == 3 else array
    return torch.from_numpy(np.ascontiguousarray(planar)).to(like.device, like.dtype)


def unstack(tensor: Any) -> list[Any]:
    """Give the tensors that lie behind each other in one of ``(B, ...)``.

    Raises:
        ImageError: If it cannot be taken apart (some sparse ones).
    """
    try:
        return list(tensor.detach())
    except (TypeError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ImageError(f"a tensor of {tensor.dtype} cannot be taken apart: {reason}") from None


def stack(tensors: Sequence[Any], like: Any) -> Any:
    """Put tensors of one shape behind each other: ``(B, ...)``; without any, another's copy."""
    return sys.modules["torch"].stack(list(tensors)) if tensors else like.detach().clone()
