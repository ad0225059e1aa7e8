"""The sketch of a photo: lines where a person would draw them, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, label

from freefill.imaging.io import read_picture
from freefill.masks.thinning import components, thin
from freefill.vision.edges import LARGEST, edges, sketch

EXAMPLES = Path(__file__).parents[2] / "examples"


def disc(side: int, radius: float, inner: float = 0.8, outer: float = 0.2) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    share = np.clip(radius - np.hypot(y, x) + 0.5, 0, 1)[..., None]
    return (outer + share * (inner - outer)).astype(np.float32).repeat(3, 2)


def test_a_disc_is_one_closed_line_on_its_rim() -> None:
    lines = edges(disc(96, 30))
    y, x = np.nonzero(lines)
    away = np.abs(np.hypot(y - 47.5, x - 47.5) - 30)
    assert away.max() <= 1.6
    # All the way round, and one line only.
    angles = np.sort(np.arctan2(y - 47.5, x - 47.5))
    assert np.diff(angles).max() < 0.1
    assert components(lines)[1] == 1


def test_lines_are_thin() -> None:
    photo = np.asarray(read_picture(EXAMPLES / "street.jpg").samples) / np.float32(255)
    lines = edges(photo)
    assert lines.any()
    solid = lines[1:, 1:] & lines[:-1, 1:] & lines[1:, :-1] & lines[:-1, :-1]
    assert solid.sum() < 0.02 * lines.sum()


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_change_of_colour_alone_is_a_line(channel: int) -> None:
    photo = np.full((64, 64, 3), 0.5, np.float32)
    photo[:, 32:, channel] += 0.3
    photo[:, 32:, (channel + 1) % 3] -= 0.3
    lines = edges(photo)
    assert set(np.flatnonzero(lines.any(0))) <= {30, 31, 32}
    assert lines.any(1).all()


def test_noise_and_even_gradients_have_no_lines() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0.5, 0.05, (96, 96, 3)).astype(np.float32)
    assert not edges(noise).any()
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None, :, None].repeat(64, 0).repeat(3, 2)
    assert not edges(ramp).any()


def test_fine_texture_has_far_fewer_lines_than_its_outline() -> None:
    rng = np.random.default_rng(1)
    photo = np.full((128, 128, 3), 0.8, np.float32)
    photo[32:96, 32:96] = 0.3 + rng.normal(0, 0.1, (64, 64, 1)).astype(np.float32)
    lines = edges(photo)
    inside = lines[38:90, 38:90].sum()
    assert lines.sum() > 200
    assert inside < 0.15 * lines.sum()


def test_detail_orders_the_lines() -> None:
    photo = np.asarray(read_picture(EXAMPLES / "bee.jpg").samples) / np.float32(255)
    counts = [int(edges(photo, detail).sum()) for detail in (0.4, 1.0, 2.5)]
    assert counts[0] < counts[1] < counts[2]
    with pytest.raises(ValueError, match="above 0"):
        edges(photo, 0)


def test_a_large_photo_has_the_lines_of_a_small_one() -> None:
    factor = 2
    small = (disc(LARGEST * 5 // 8, 200) * 255).astype(np.uint8)
    large = small.repeat(factor, 0).repeat(factor, 1)[:, :-7]
    assert max(large.shape) > LARGEST
    lines = sketch(read_picture(large))
    assert lines.shape == large.shape[:2]
    expected = edges(small / np.float32(255)).repeat(factor, 0).repeat(factor, 1)[:, :-7]
    assert (distance_transform_edt(~expected)[lines] <= 2 * factor).all()
    assert (distance_transform_edt(~lines)[expected] <= 2 * factor).all()


def test_thin_keeps_what_is_connected() -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        blobs = rng.random((40, 60)) < 0.02
        thick = np.zeros_like(blobs)
        for y, x in np.argwhere(blobs):
            thick[max(y - 2, 0) : y + 3, max(x - 1, 0) : x + 2] = True
        thinned = thin(thick)
        assert not (thinned & ~thick).any()
        eight = np.ones((3, 3))
        assert label(thinned, eight)[1] == label(thick, eight)[1]
        assert (thin(thinned) == thinned).all()


def test_components_are_those_of_an_independent_labelling() -> None:
    rng = np.random.default_rng(3)
    for share in (0.0, 0.1, 0.4, 0.7, 1.0):
        lines = rng.random((37, 53)) < share
        found, count = components(lines)
        expected, number = label(lines, np.ones((3, 3)))
        assert count == number
        assert ((found >= 0) == lines).all()
        pairs = set(zip(found[lines].tolist(), expected[lines].tolist(), strict=True))
        assert len(pairs) == count
