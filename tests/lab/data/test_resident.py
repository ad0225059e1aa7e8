"""Batches that are made where the photos lie: true crops, and guidance that belongs to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from freefill.errors import ConfigError
from freefill.lab.config import load
from freefill.lab.data import banks, resident
from freefill.lab.data.batches import Batch
from freefill.lab.data.line_codes import encode
from freefill.lab.data.photos import PhotoStore
from freefill.lab.data.resident import BLOCK, ResidentBatches
from freefill.lab.data.sources import Folder

Photo = NDArray[np.uint8]
PLAIN = ("data.holdout=0", "data.colour=0", "data.flip=false", "data.min_scale=1")
SKETCHED = ("guidance.sketch=1", "guidance.whole=1", "guidance.drawn=0")
SIDE = 64


def placed(height: int, width: int, seed: int = 0) -> Photo:
    """A photo whose red and green tell the place, and whose blue is noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width))
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, noise], 2).astype(np.uint8)


def tiled(height: int, width: int, tile: int = 12) -> Photo:
    """The same with tiles in place of noise: their borders are its lines."""
    photo = placed(height, width)
    photo[..., 2] = 255 * ((photo[..., 0] // tile + photo[..., 1] // tile) % 2)
    return photo


def flat(colour: tuple[int, int, int], side: int = 80) -> Photo:
    return np.broadcast_to(np.array(colour, np.uint8), (side, side, 3))


Make = Callable[..., ResidentBatches]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    # As many as are drawn without further processes.
    monkeypatch.setattr(resident, "HOLES", banks.AT_ONCE)
    monkeypatch.setattr(banks, "SHAPES", banks.AT_ONCE)

    def made(
        photos: list[Photo], *settings: str, batch: int = 8, steps: int = 200, side: int = SIDE
    ) -> ResidentBatches:
        stage = f"train.stages=[{{steps={steps}, crop={side}, batch={batch}}}]"
        config = load(None, [*PLAIN, stage, *settings])
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.u8"
        np.concatenate([photo.ravel() for photo in photos]).tofile(file)
        shapes = np.array([photo.shape[:2] for photo in photos], np.int64)
        names = tuple(f"{number}.png" for number in range(len(photos)))
        store = PhotoStore(names, shapes, np.memmap(file, np.uint8, "r"), file)
        folder = Folder(store, config.data, config.train.seed)
        return ResidentBatches(folder, config, torch.device("cpu"), lambda _: None)

    return made


def pixels(batch: Batch) -> NDArray[np.float64]:
    """Give the photos of a batch, ``(B, H, W, 3)`` in [0, 255]."""
    return ((batch.image.double() + 1) * 127.5).permute(0, 2, 3, 1).numpy()


def equal(one: Batch, two: Batch) -> bool:
    planes = [(one.image, two.image), (one.hole, two.hole), (one.guidance, two.guidance)]
    return all(b is None if a is None else b is not None and torch.equal(a, b) for a, b in planes)


def whole_holes(made: ResidentBatches) -> None:
    for side, (_, shapes, strokes) in made.banks.items():
        made.banks[side] = torch.ones(1, side, side, dtype=torch.uint8), shapes, strokes


def test_a_crop_at_scale_1_is_the_photos_own_pixels(make: Make) -> None:
    photos = [placed(100, 140, 1), placed(180, 90, 2), placed(SIDE, SIDE, 3)]
    made = make(photos)
    places = set()
    for step in range(6):
        order = [made.folder.place(8 * step + number, SIDE) for number in range(8)]
        for found, number in zip(pixels(made.batch(step)), order, strict=True):
            top, left = (int(value) for value in found[0, 0, :2].round())
            expected = photos[number][top : top + SIDE, left : left + SIDE]
            np.testing.assert_allclose(found, expected, atol=1e-3)
            places.add((number, top, left))
    assert len(places) > 20
    # The last row and column are reached, too.
    assert max(top for number, top, _ in places if number == 0) > 25
    assert max(left for number, _, left in places if number == 0) > 60


def test_crops_are_cut_from_photos_that_are_large_enough(make: Make) -> None:
    photos = [flat((number, 0, 0), side) for number, side in ((10, 63), (100, 64), (200, 90))]
    for settings, expected in (((), {10, 100, 200}), (("data.enlarge=false",), {100, 200})):
        made = make(photos, *settings, batch=40)
        assert set(pixels(made.batch(0))[..., 0].round().ravel()) == expected


def window_of(found: NDArray[np.float64]) -> tuple[int, int, int, bool]:
    """Read the window of a crop of :func:`placed`: top, left, side, whether it is mirrored."""
    middle = slice(4, SIDE - 4)
    rows, columns = found[:, 20, 0], found[20, :, 1]
    factor = np.polyfit(np.arange(SIDE)[middle], rows[middle], 1)[0]
    slope = np.polyfit(np.arange(SIDE)[middle], columns[middle], 1)[0]
    length = round(factor * SIDE)
    # A ramp stays one: its value at the window's middle is the middle of the rows in it.
    top, left = (
        line[SIDE // 2 - 1 : SIDE // 2 + 1].mean() - (length - 1) / 2 for line in (rows, columns)
    )
    return round(top), round(left), length, bool(slope < 0)


def test_a_larger_window_is_averaged_and_a_smaller_one_enlarged(make: Make) -> None:
    # 50 pixels high: every crop of it is enlarged.
    photos = [placed(200, 240, 1), placed(50, 90, 2), placed(128, 128, 3)]
    made = make(photos, "data.min_scale=0.5", "data.flip=true", batch=24)
    order = [made.folder.place(number, SIDE) for number in range(24)]
    seen = []
    for found, number in zip(pixels(made.batch(0)), order, strict=True):
        top, left, length, mirrored = window_of(found)
        cut = photos[number][top : top + length, left : left + length]
        assert cut.shape[:2] == (length, length)
        if mirrored:
            cut = cut[:, ::-1]
        planes = [Image.fromarray(cut[..., i].astype(np.float32)) for i in range(3)]
        method = Image.Resampling.BILINEAR
        expected = np.stack([np.asarray(p.resize((SIDE, SIDE), method)) for p in planes], 2)
        np.testing.assert_allclose(found, expected, atol=0.01)
        seen.append((length, mirrored))
    lengths = {length for length, _ in seen}
    assert min(lengths) == 50
    assert max(lengths) > 110
    assert {mirrored for _, mirrored in seen} == {False, True}


def test_a_window_of_twice_the_side_is_weighed_as_computed_by_hand(make: Make) -> None:
    photo = placed(2 * SIDE, 2 * SIDE, 5)
    made = make([photo], "data.min_scale=0.5")
    window = tuple(torch.full((1, 1, 1), float(value)) for value in (0, 0, 2 * SIDE, 0))
    u = resident.Uniform(torch.full((1, 8), 0.5))
    top, left, length, mirrored = window
    chosen = torch.zeros(1, dtype=torch.long)
    found = made._cut(chosen, (top, left, length, mirrored > 0), SIDE, u, 0.0)[0]
    # A triangle over two pixels each way: 1 3 3 1, of which the border lacks the first.
    matrix = np.zeros((SIDE, 2 * SIDE))
    for row in range(SIDE):
        for place, weight in zip(range(2 * row - 1, 2 * row + 3), (1, 3, 3, 1), strict=True):
            if 0 <= place < 2 * SIDE:
                matrix[row, place] = weight
    matrix /= matrix.sum(1, keepdims=True)
    expected = np.einsum("ri,ijc,sj->crs", matrix, photo / 255, matrix)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_colours_change_within_what_is_asked(make: Make) -> None:
    made = make([flat((160, 100, 60))], "data.colour=0.1", batch=64)
    found = pixels(made.batch(0))
    assert np.ptp(found, (1, 2)).max() < 1e-3
    changed = found[:, 0, 0] - (160, 100, 60)
    # Of 0.15 times what lies beside the middle, and 0.05 times all.
    assert (np.abs(changed) <= 0.15 * np.abs(np.array([160, 100, 60]) - 127.5) + 0.05 * 255).all()
    assert (changed.std(0) > 2).all()


GUIDED = (
    "guidance.sketch=0.5", "guidance.strokes=0.5", "data.resident=true", "data.synthetic=0.2",
    "data.flip=true",
)  # fmt: skip


def test_same_seed_and_step_same_batch_and_blocks_do_not_show(make: Make) -> None:
    photos = [tiled(90, 100), placed(70, 80)]
    one, two = (make(photos, *GUIDED) for _ in range(2))
    first = 2 * BLOCK - 2
    sequence = one.ahead(first)
    batches = [next(sequence)[0] for _ in range(4)]
    for step in (first + 2, first + 1, first + 3, first):
        assert equal(two.batch(step), batches[step - first]), step
    assert not equal(batches[0], batches[1])
    assert not torch.equal(batches[0].image[0], batches[0].image[1])
    # Nor does a block repeat the one before.
    assert not torch.equal(one.batch(first - BLOCK).hole, batches[0].hole)
    other = make(photos, *GUIDED, "train.seed=1").batch(first)
    assert not equal(other, batches[0])


def test_a_run_ends_with_its_last_step(make: Make) -> None:
    made = make([placed(70, 80)], steps=BLOCK + 2)
    assert len(list(made.ahead(BLOCK - 1))) == 3


def test_stages_have_crops_and_batches_of_their_own(make: Make) -> None:
    stages = "train.stages=[{steps=3, crop=32, batch=5}, {steps=3, crop=64, batch=2}]"
    made = make([tiled(80, 80), tiled(70, 90)], *GUIDED, stages)
    shapes = [tuple(batch.image.shape) for (batch,) in made.ahead(1)]
    assert shapes == [(5, 3, 32, 32)] * 2 + [(2, 3, 64, 64)] * 3


def test_each_photo_comes_once_an_epoch(make: Make) -> None:
    made = make([flat((10 * number, 0, 0)) for number in range(10)], batch=5, side=32)
    for epoch in range(3):
        steps = [pixels(made.batch(2 * epoch + half))[:, 0, 0, 0] for half in (0, 1)]
        assert sorted(np.concatenate(steps).round()) == [10 * number for number in range(10)]


def test_holes_are_those_of_the_bank_turned(make: Make) -> None:
    made = make([flat((9, 9, 9))], "data.masks={thick=1.0}", batch=64)
    bank = made.banks[SIDE][0].numpy()
    turns = [
        {np.rot90(mirrored, turn).tobytes(): number for number, mirrored in enumerate(every)}
        for every in (bank, bank[:, ::-1])
        for turn in range(4)
    ]
    seen = []
    for step in range(4):
        hole = made.batch(step).hole
        assert hole.shape == (64, 1, SIDE, SIDE)
        assert set(hole.unique().tolist()) == {0.0, 1.0}
        for one in hole[:, 0].numpy().astype(np.uint8):
            (place,) = [turn for turn, every in enumerate(turns) if one.tobytes() in every]
            seen.append((place, turns[place][one.tobytes()]))
    assert {turn for turn, _ in seen} == set(range(8))
    assert len({number for _, number in seen}) > 50


def lines_of(batch: Batch) -> NDArray[np.bool_]:
    assert batch.guidance is not None
    return batch.guidance[:, 0].numpy() > 0


def test_lines_are_the_photos_own_where_they_lie(make: Make) -> None:
    photo = tiled(140, 170)
    masks = "data.masks={rectangle=1.0}"
    made = make([photo], *SKETCHED, "data.flip=true", masks, batch=16)
    own = encode(photo) > 0
    batch = made.batch(0)
    for found, lines, hole in zip(pixels(batch), lines_of(batch), batch.hole[:, 0], strict=True):
        top, left, _, mirrored = window_of(found)
        cut = own[top : top + SIDE, left : left + SIDE][:, :: -1 if mirrored else 1]
        assert not lines[hole.numpy() == 0].any()
        # As unsteady as a hand: a pixel or two beside. And none is missing where all are drawn.
        assert distance_transform_edt(~cut)[lines].max() <= 3
        inner = distance_transform_edt(hole.numpy()) > 3
        assert inner.any()
        assert distance_transform_edt(~lines)[cut & inner].max(initial=0) <= 3


def test_lines_of_a_shrunk_photo_lie_where_its_colours_change(make: Make) -> None:
    made = make([tiled(200, 200, 24)], *SKETCHED, "data.min_scale=0.5", batch=16)
    whole_holes(made)
    batch = made.batch(0)
    for found, lines in zip(pixels(batch), lines_of(batch), strict=True):
        blue = found[..., 2] > 127
        border = np.zeros_like(blue)
        border[1:] |= blue[1:] != blue[:-1]
        border[:, 1:] |= blue[:, 1:] != blue[:, :-1]
        away = distance_transform_edt(~border)
        assert lines.mean() > 0.05
        assert (away[lines] <= 2).mean() > 0.9
        # Not many would by chance.
        assert (away <= 2).mean() < 0.7


def test_parts_of_the_lines_are_missing_where_not_all_are_drawn(make: Make) -> None:
    rng = np.random.default_rng(0)
    photo = np.full((120, 120, 3), 128, np.uint8)
    for top in range(8, 110, 16):
        for left in range(8, 110, 16):
            photo[top : top + 8, left : left + 8] = rng.integers(0, 2, 3) * 250
    shares = []
    for whole in (1, 0):
        made = make([photo], "guidance.sketch=1", f"guidance.whole={whole}", "guidance.drawn=0",
                    batch=64)  # fmt: skip
        whole_holes(made)
        shares.append(lines_of(made.batch(0)).mean((1, 2)))
    all_of_them, some = shares
    # 0.1 to 0.9 of them.
    assert 0.3 < some.mean() / all_of_them.mean() < 0.7
    assert some.std() > 2 * all_of_them.std()


def test_as_many_samples_have_guidance_as_are_asked_for(make: Make) -> None:
    made = make([tiled(90, 100)], "guidance.sketch=0.3", "guidance.strokes=0.6",
                "guidance.drawn=0", batch=400, side=32)  # fmt: skip
    whole_holes(made)
    guidance = made.batch(0).guidance
    assert guidance is not None
    assert guidance.shape == (400, 5, 32, 32)
    sketched, painted = (guidance[:, i].flatten(1).any(1).float().mean() for i in (0, 1))
    assert 0.23 < sketched < 0.37
    assert 0.52 < painted < 0.68
    both = (guidance[:, 0].flatten(1).any(1) & guidance[:, 1].flatten(1).any(1)).float().mean()
    assert 0.1 < both < 0.26


def test_without_guidance_there_is_none(make: Make) -> None:
    assert make([tiled(90, 100)]).batch(0).guidance is None


def test_as_many_samples_are_synthetic_as_are_asked_for(make: Make) -> None:
    made = make([flat((200, 40, 90))], "data.resident=true", "data.synthetic=0.25", batch=200)
    found = pixels(made.batch(0))
    photos = (np.abs(found - (200, 40, 90)) < 1e-3).all((1, 2, 3))
    assert 0.65 < photos.mean() < 0.85
    drawn = found[~photos]
    assert (drawn.min(), drawn.max()) >= (0, 0)
    # Walls and joints: two colours at least, many of each.
    assert (drawn.std((1, 2)).max(1) > 2).mean() > 0.9


def test_a_synthetic_picture_has_no_lines_of_the_photo_under_it(make: Make) -> None:
    made = make([tiled(90, 100)], *SKETCHED, "data.resident=true", "data.synthetic=1.0", batch=16)
    whole_holes(made)
    assert not lines_of(made.batch(0)).any()


def test_a_shape_is_drawn_into_some_photos_and_lined(make: Make) -> None:
    colour = (128, 100, 90)
    made = make([flat(colour)], "guidance.sketch=1", "guidance.drawn=0.5", batch=200)
    whole_holes(made)
    batch = made.batch(0)
    lines, found = lines_of(batch), pixels(batch)
    changed = (np.abs(found - colour) > 0.5).any(3)
    # The photo has no lines: all there are belong to shapes.
    with_lines = lines.any((1, 2))
    assert 0.4 < with_lines.mean() < 0.6
    assert not changed[~with_lines].any()
    # A piece of a flat photo shows nothing: one in eight shapes or so.
    shown = changed.any((1, 2)) & with_lines
    assert shown.sum() > 0.7 * with_lines.sum()
    for where, line in zip(changed[shown], lines[shown], strict=True):
        border = where & (distance_transform_edt(np.pad(where, 1))[1:-1, 1:-1] <= 3)
        assert (distance_transform_edt(~border)[line] <= 2).mean() > 0.9


def test_strokes_have_the_colour_of_the_photo_under_them(make: Make) -> None:
    made = make([tiled(90, 100)], "guidance.strokes=1", batch=32)
    whole_holes(made)
    batch = made.batch(0)
    assert batch.guidance is not None
    sizes = []
    for image, (_, where, *colours) in zip(batch.image, batch.guidance, strict=True):
        painted = torch.stack(colours)
        assert not painted[:, where == 0].any()
        assert set(where.unique().tolist()) == {0.0, 1.0}
        different = painted[:, where > 0].unique(dim=1).T
        assert 1 <= len(different) <= banks.STROKES
        for colour in different:
            under = (painted == colour[:, None, None]).all(0) & (where > 0)
            # The hole's strokes at up to 1.5 hundredths of the range beside.
            assert torch.allclose(image[:, under].mean(1), colour, atol=0.031)
            sizes.append(int(under.sum()))
    assert np.mean(sizes) > 10


def test_guidance_lies_in_holes(make: Make) -> None:
    made = make([tiled(90, 100)], "guidance.sketch=1", "guidance.strokes=1", batch=32)
    batch = made.batch(0)
    assert batch.guidance is not None
    assert not batch.guidance[(batch.hole == 0).expand_as(batch.guidance)].any()
    assert batch.guidance.any()


def test_what_it_cannot_do_is_refused(make: Make) -> None:
    for setting in ("train.separate_batches=true", "data.shared_hole=true"):
        with pytest.raises(ConfigError, match=r"data\.resident"):
            make([flat((1, 2, 3))], setting)


def test_too_few_random_numbers_are_an_error() -> None:
    u = resident.Uniform(torch.zeros(2, 3))
    taken: list[Any] = [u.next(), u.next(2)]
    assert [tuple(t.shape) for t in taken] == [(2, 1, 1), (2, 2, 1, 1)]
    with pytest.raises(IndexError, match="has 3 random numbers"):
        u.next()


def test_every_way_of_a_sample_has_enough_of_them(make: Make) -> None:
    made = make([tiled(90, 100)], *GUIDED)
    used: list[int] = []

    class Counted(resident.Uniform):
        def next(self, channels: int = 1) -> Tensor:
            used.append(channels)
            return super().next(channels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resident, "Uniform", Counted)
        made.batch(0)
    assert sum(used) <= resident.NUMBERS
