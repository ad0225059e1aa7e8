"""The paper's network in NumPy, float64, written slowly and literally from its released code.

It shares nothing with the package: pictures are (H, W, C) and kernels (kh, kw, in, out) as in
TensorFlow, weights go by the released names, one picture is computed at a time, and every operation
is spelled out. What it is for is to disagree where the package is wrong.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def same_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    out = math.ceil(size / stride)
    needed = max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return needed // 2, needed - needed // 2


def conv(
    x: Array, kernel: Array, bias: Array, stride: int = 1, dilation: int = 1, padding: str = "same"
) -> Array:
    k = kernel.shape[0]
    if padding == "same":
        pads = [same_pads(side, k, stride, dilation) for side in x.shape[:2]]
    else:
        pads = [(dilation * (k - 1) // 2,) * 2] * 2
    x = np.pad(x, (*pads, (0, 0)))
    reach = (k - 1) * dilation + 1
    rows, columns = ((side - reach) // stride + 1 for side in x.shape[:2])
    y = np.zeros((rows, columns, kernel.shape[3])) + bias
    for i in range(k):
        for j in range(k):
            top, left = i * dilation, j * dilation
            seen = x[top : top + rows * stride : stride, left : left + columns * stride : stride]
            y += seen[:rows, :columns] @ kernel[i, j]
    return y


def gated(y: Array, activation: str) -> Array:
    features, gate = np.split(y, 2, axis=2)
    if activation == "relu":
        features = np.maximum(features, 0)
    else:
        features = np.where(features > 0, features, np.exp(np.minimum(features, 0)) - 1)
    return features / (1 + np.exp(-gate))


def nearest(x: Array, rows: int, columns: int) -> Array:
    """Resize with align_corners=True: place i reads round(i * (n - 1) / (m - 1)), in float32."""
    out = np.zeros((rows, columns, x.shape[2]))
    for i in range(rows):
        for j in range(columns):
            place = []
            for index, old, new in ((i, x.shape[0], rows), (j, x.shape[1], columns)):
                scale = np.float32(old - 1) / np.float32(new - 1) if new > 1 else np.float32(0)
                place.append(math.floor(float(np.float32(index) * scale) + 0.5))
            out[i, j] = x[place[0], place[1]]
    return out


def patches(x: Array, kernel: int, stride: int) -> Array:
    """Cut SAME patches in the order of rows, (N, kernel, kernel, C)."""
    pads = [same_pads(side, kernel, stride, 1) for side in x.shape[:2]]
    rows, columns = (math.ceil(side / stride) for side in x.shape[:2])
    x = np.pad(x, (*pads, (0, 0)))
    return np.array(
        [
            x[i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            for i in range(rows)
            for j in range(columns)
        ]
    )


def diagonals(table: Array) -> Array:
    """Convolve a table with an identity of 3x3, SAME."""
    padded = np.pad(table, 1)
    n, m = table.shape
    return sum(padded[i : i + n, i : i + m] for i in range(3))


def floored(x: Array, rows: int, columns: int) -> Array:
    """Resize as torch's nearest neighbour does: place i reads floor(i * n / m)."""
    out = np.zeros((rows, columns, x.shape[2]))
    for i in range(rows):
        for j in range(columns):
            out[i, j] = x[i * x.shape[0] // rows, j * x.shape[1] // columns]
    return out


def attention(
    f: Array, hole: Array, fuse: bool = True, mask_resize: str = "two-step", port: bool = False
) -> Array:
    """Contextual attention with f = b; ``hole`` is the full-size mask, (H, W, 1)."""
    height, width = f.shape[:2]
    h, w = height // 2, width // 2
    raw = patches(f, 4, 2)
    small = (floored if port else nearest)(f, h, w)
    if mask_resize == "two-step":
        mask = nearest(nearest(hole, height, width), h, w)
    else:
        mask = floored(hole, h, w)
    known = np.array([1.0 if patch.mean() == 0 else 0.0 for patch in patches(mask, 3, 1)])
    keys = patches(small, 3, 1)
    n = h * w
    scores = np.zeros((n, n))  # [query, key]
    queries = patches(small, 3, 1)
    for k in range(n):
        if port:
            norm = math.sqrt((keys[k] ** 2 + 1e-4).sum())
        else:
            norm = max(math.sqrt((keys[k] ** 2).sum()), 1e-4)
        scores[:, k] = (queries * keys[k] / norm).sum((1, 2, 3))
    if fuse:
        scores = diagonals(scores)
        scores = scores.reshape(h, w, h, w).transpose(1, 0, 3, 2).reshape(n, n)
        scores = diagonals(scores)
        scores = scores.reshape(w, h, w, h).transpose(1, 0, 3, 2).reshape(n, n)
    logits = scores * known * 10
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights = weights / weights.sum(1, keepdims=True) * known
    pasted = np.zeros((height + 2, width + 2, f.shape[2]))
    for q in range(n):
        top, left = 2 * (q // w), 2 * (q % w)
        pasted[top : top + 4, left : left + 4] += np.tensordot(weights[q], raw, 1)
    return pasted[1:-1, 1:-1] / 4


# Name, stride, dilation; the rest is told by the kernel's shape.
COARSE = (
    "conv1", "conv2_downsample/2", "conv3", "conv4_downsample/2", "conv5", "conv6",
    "conv7_atrous@2", "conv8_atrous@4", "conv9_atrous@8", "conv10_atrous@16", "conv11", "conv12",
    "conv13_upsample", "conv14", "conv15_upsample", "conv16", "conv17",
)  # fmt: skip
DILATED = (
    "xconv1", "xconv2_downsample/2", "xconv3", "xconv4_downsample/2", "xconv5", "xconv6",
    "xconv7_atrous@2", "xconv8_atrous@4", "xconv9_atrous@8", "xconv10_atrous@16",
)  # fmt: skip
MATCHING = (
    "pmconv1", "pmconv2_downsample/2", "pmconv3", "pmconv4_downsample/2", "pmconv5", "pmconv6",
)  # fmt: skip
JOINED = (
    "allconv11", "allconv12", "allconv13_upsample", "allconv14", "allconv15_upsample", "allconv16",
    "allconv17",
)  # fmt: skip


def deepfill(
    weights: dict[str, Array],
    image: Array,
    hole: Array,
    sketch: Array | None = None,
    *,
    padding: str = "same",
    mask_resize: str = "two-step",
    fuse: bool = True,
    attention_of: str = "released",
) -> tuple[Array, Array]:
    """Run both networks.

    Args:
        weights: ``NAME/kernel`` and ``NAME/bias`` by the released names, without the scope.
        image: ``(H, W, 3)`` in [-1, 1].
        hole: ``(H, W, 1)``, 1 = fill.
        sketch: ``(H, W, 1)``, for weights that take one.
        padding: Of the layers with stride 2.
        mask_resize: ``"two-step"`` or ``"one-step"``.
        fuse: Whether the attention fuses.
        attention_of: ``"released"`` or ``"port"``.

    Returns:
        The pictures of the first and of the second network.
    """

    def run(names: tuple[str, ...], x: Array) -> Array:
        for entry in names:
            name, _, dilation = entry.partition("@")
            name, _, stride = name.partition("/")
            if name.endswith("_upsample"):
                x = nearest(x, 2 * x.shape[0], 2 * x.shape[1])
            y = conv(
                x,
                weights[f"{name}/kernel"],
                weights[f"{name}/bias"],
                int(stride or 1),
                int(dilation or 1),
                padding,
            )
            if y.shape[2] == 3:
                return np.tanh(y)
            x = gated(y, "relu" if name == "pmconv6" else "elu")
        return x

    masked = image * (1 - hole)
    ones = np.ones_like(hole)
    lines = [] if sketch is None else [sketch * hole]
    x1 = run(COARSE, np.concatenate([masked, *lines, ones, ones * hole], 2))
    x = x1 * hole + masked
    dilated = run(DILATED, x)
    matched = attention(run(MATCHING, x), hole, fuse, mask_resize, attention_of == "port")
    matched = run(("pmconv9", "pmconv10"), matched)
    x2 = run(JOINED, np.concatenate([dilated, matched], 2))
    return x1, x2
