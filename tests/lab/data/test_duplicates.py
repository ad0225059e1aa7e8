"""The perceptual hash, and the search among hashes against comparing with all of them."""

from __future__ import annotations

import io
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from freefill.lab.data.packing.duplicates import (
    NearHashes,
    count_bits,
    count_bits_by_sums,
    perceptual_hash,
)


def difference(first: Image.Image, second: Image.Image) -> int:
    return (perceptual_hash(first) ^ perceptual_hash(second)).bit_count()


def test_the_hash_is_imagehash_s(examples: Path) -> None:
    for path in sorted(examples.glob("*.jpg")):
        with Image.open(path) as image:
            assert f"{perceptual_hash(image):016x}" == str(imagehash.phash(image)), path.name


def test_the_same_photo_in_other_sizes_compressions_and_brightness_is_near(examples: Path) -> None:
    photos = [Image.open(path).convert("RGB") for path in sorted(examples.glob("*.jpg"))]
    variants = []
    for photo in photos:
        content = io.BytesIO()
        photo.save(content, "JPEG", quality=60)
        half = photo.resize((photo.width // 2, photo.height // 2))
        brighter = ImageEnhance.Brightness(photo).enhance(1.1)
        variants += [difference(photo, other) for other in (half, Image.open(content), brighter)]
    # A wall of bricks, which has no large shapes, and two bright skies move by 4.
    assert max(variants) <= 4
    assert sum(moved <= 2 for moved in variants) >= len(variants) - 3
    far = [difference(a, b) for i, a in enumerate(photos) for b in photos[:i]]
    assert min(far) > 12


@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_a_picture_of_one_colour_has_one_hash(level: int) -> None:
    # Its frequencies are 0 but for rounding, which must not decide.
    assert perceptual_hash(Image.new("L", (100, 80), level)) in (0, 1 << 63)
    assert perceptual_hash(Image.new("RGB", (64, 64), (level,) * 3)) in (0, 1 << 63)


def hashes(count: int, rng: np.random.Generator) -> list[int]:
    """Random hashes, half of them a few bits away from others."""
    found: list[int] = rng.integers(0, 2**64, count // 2, dtype=np.uint64).tolist()
    while len(found) < count:
        value = found[int(rng.integers(len(found)))]
        for bit in rng.choice(64, int(rng.integers(0, 15)), replace=False).tolist():
            value ^= 1 << bit
        found.append(value)
    return [found[i] for i in rng.permutation(count)]


@pytest.mark.parametrize("distance", range(13))
def test_the_search_finds_what_comparing_with_all_finds(distance: int) -> None:
    values = hashes(600, np.random.default_rng(distance))
    near = NearHashes(distance)
    hits = 0
    for number, value in enumerate(values):
        expected = None
        if number:
            distances = [(value ^ other).bit_count() for other in values[:number]]
            least = min(distances)
            expected = (distances.index(least), least) if least <= distance else None
        assert near.nearest(value) == expected
        hits += expected is not None
        assert near.add(value) == number
    assert len(near) == 600
    # Both answers occur, and the furthest that counts as well.
    assert 10 <= hits <= 590
    at_the_limit = values[0]
    for bit in range(distance):
        at_the_limit ^= 1 << (bit * 5)
    lone = NearHashes(distance)
    lone.add(values[0])
    assert lone.nearest(at_the_limit) == (0, distance)
    assert lone.nearest(at_the_limit ^ (1 << 63)) is None


def test_distances_that_cannot_be_searched() -> None:
    for distance in (-1, 13):
        with pytest.raises(ValueError, match=f"not {distance}"):
            NearHashes(distance)


def test_bits_are_counted_alike_with_and_without_numpy_2() -> None:
    values = np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)
    values[:2] = 0, 2**64 - 1
    expected = [value.bit_count() for value in values.tolist()]
    assert count_bits(values).tolist() == expected
    assert count_bits_by_sums(values).tolist() == expected
