"""Contextual attention: what it means; that its numbers are right is in the tests of deepfill."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from freefill.lab.layers import attention
from freefill.lab.layers.attention import contextual_attention


def features(height: int, width: int, channels: int = 6, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * width)
    return torch.randn(batch, channels, height, width, dtype=torch.float64, generator=generator)


def holes(height: int, width: int) -> torch.Tensor:
    """Two different holes at the resolution of the comparison."""
    hole = torch.zeros(2, 1, height // 2, width // 2, dtype=torch.float64)
    hole[0, :, : height // 5, width // 5 :] = 1
    hole[1, :, height // 5 :, : width // 8] = 1
    return hole


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 6), (2, 16), (16, 2), (20, 28)])
def test_rows_taken_together_change_nothing(height: int, width: int, fuse: bool) -> None:
    x, hole = features(height, width), holes(height, width)
    whole = contextual_attention(x, hole, fuse=fuse, rows=10_000)
    for rows in (1, 2, 3, 7):
        part = contextual_attention(x, hole, fuse=fuse, rows=rows)
        torch.testing.assert_close(part, whole, rtol=0, atol=1e-12)


def test_every_picture_has_its_own_hole() -> None:
    x, hole = features(20, 28), holes(20, 28)
    both = contextual_attention(x, hole)
    for i in range(2):
        alone = contextual_attention(x[i : i + 1], hole[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], alone, rtol=0, atol=1e-12)
    shared = contextual_attention(x, hole[:1].expand(2, -1, -1, -1))
    assert (shared[1] - both[1]).abs().max() > 1e-3


def test_nothing_is_taken_from_patches_that_touch_the_hole() -> None:
    x = torch.ones(1, 1, 32, 32)
    x[..., :, 16:] = 100.0  # the right half is hole, and what lies there must not come back
    hole = torch.zeros(1, 1, 16, 16)
    hole[..., 8:] = 1
    assert float(contextual_attention(x, hole).max()) < 2.0


def test_all_unknown_gives_zeros() -> None:
    x = features(16, 16)
    assert not contextual_attention(x, torch.ones(2, 1, 8, 8, dtype=x.dtype)).any()


def test_a_copy_of_a_known_patch_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(1, 16, 64, 64, generator=generator)
    # Both in the first half, where the comparison reads every second pixel.
    x[..., 16:28, 16:28] = x[..., 2:14, 2:14]
    hole = torch.zeros(1, 1, 32, 32)
    hole[..., 8:14, 8:14] = 1
    found = contextual_attention(x, hole)
    inner = (..., slice(20, 24), slice(20, 24))
    likeness = torch.nn.functional.cosine_similarity(found[inner].flatten(), x[inner].flatten(), 0)
    assert float(likeness) > 0.95


@pytest.mark.parametrize("fuse", [True, False])
def test_gradients(fuse: bool) -> None:
    x = features(8, 12, channels=2).requires_grad_()
    hole = holes(8, 12)
    assert torch.autograd.gradcheck(lambda x: contextual_attention(x, hole, fuse=fuse, rows=3), x)


def test_a_patch_of_zeros_has_a_gradient() -> None:
    x = torch.zeros(1, 2, 8, 8, requires_grad=True)
    contextual_attention(x, torch.zeros(1, 1, 4, 4)).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_half_precision_is_computed_in_float32() -> None:
    x = features(16, 16).float()
    hole = holes(16, 16).float()
    half = contextual_attention(x.bfloat16(), hole)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, contextual_attention(x.bfloat16().float(), hole))


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), pytest.param(32, 1024, marks=pytest.mark.slow), (128, 128)]
)
def test_no_table_is_larger_than_its_limit(
    height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The defaults, with a limit that these small pictures reach.
    limit = 2**21
    monkeypatch.setattr(attention, "TABLE", limit)
    sizes = []

    class Largest(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                sizes.append(out.untyped_storage().nbytes() // 4)
            return out

    with Largest(), torch.no_grad():
        contextual_attention(
            torch.zeros(1, 1, 2 * height, 2 * width), torch.zeros(1, 1, height, width)
        )
    n = height * width
    # Scores are made for the rows of queries, one more, and the row above and below each of them.
    rows = min(attention.ROWS, max(2, limit // (n * width)))
    assert max(sizes) <= (rows + 3) * width * (n + 2 * width + 4) * 1.05
    assert max(sizes) < n * n / 4


def test_refuses_a_hole_of_another_size() -> None:
    with pytest.raises(ValueError, match="hole is 16x16; for 16x16 features it must be 8x8"):
        contextual_attention(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16))
