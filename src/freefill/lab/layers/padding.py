"""TensorFlow's SAME padding, exactly.

SAME with stride 2 on an even size pads one pixel more at the bottom and right than at the top and
left; ``torch``'s symmetric ``padding=`` shifts the result by a pixel there. Released DeepFill v2
weights were trained with SAME, so this is not a detail.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Give the zeros that SAME adds before and after one axis.

    Args:
        size: Length of the axis, in pixels.
        kernel: Kernel length.
        stride: Stride.
        dilation: Dilation.

    Returns:
        Zeros before, zeros after. The odd one goes after.

    Examples:
        >>> same_padding(256, kernel=3, stride=2, dilation=1), same_padding(256, 5, 2, 1)
        ((0, 1), (1, 2))
        >>> same_padding(64, kernel=3, stride=1, dilation=16)
        (16, 16)
    """
    reach = dilation * (kernel - 1) + 1
    # int(): while a network is traced for export a size is a tensor, and what is exported takes any
    # multiple of all strides, for which the zeros are the same.
    total = max(reach - (int(size) % stride or stride), 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: int, stride: int, dilation: int) -> Tensor:
    """Pad a batch with zeros as SAME does for a square kernel.

    Args:
        x: ``(B, C, H, W)``.
        kernel: Kernel side.
        stride: Stride.
        dilation: Dilation.

    Returns:
        The padded batch; a convolution without padding then gives ``ceil(H / stride)`` rows.
    """
    top, bottom = same_padding(x.shape[-2], kernel, stride, dilation)
    left, right = same_padding(x.shape[-1], kernel, stride, dilation)
    return F.pad(x, (left, right, top, bottom))
