"""Jobs: which photo gets which mask and where its result goes, and what becomes of each."""

from __future__ import annotations

import threading
import time
import unicodedata
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.batch import local_files
from freefill.batch.fill_photo import Options
from freefill.batch.local_files import Job, collect
from freefill.errors import ImageError, MaskError, OutOfMemoryError
from freefill.imaging.io import read_picture
from freefill.masks.convert import ALPHA
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.types import Mask

Photo = NDArray[np.uint8]


def touch(folder: Path, *names: str) -> None:
    """Make files that only have to be there: nothing is read to plan the work."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(work: list[Job], root: Path) -> dict[str, tuple[str | None, str]]:
    """Photo to mask and result, as names below ``root``."""

    def short(path: Path) -> str:
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    return {
        short(job.photo): (None if job.mask is None else short(job.mask), short(job.out))
        for job in work
    }


# --- collect ------------------------------------------------------------------------------------


def test_one_photo_to_a_file_with_the_mask_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a_mask.png", "b_mask.png")
    work = collect([tmp_path / "a.jpg"], None, tmp_path / "filled.png")
    assert found(work, tmp_path) == {"a.jpg": ("a_mask.png", "filled.png")}


def test_a_folder_keeps_its_subfolders(tmp_path: Path) -> None:
    touch(
        tmp_path / "in",
        "b.jpg",
        "b_mask.png",
        "sub/a.png",
        "sub/a_mask.jpg",
        "sub/deep/c.TIF",
        "x.txt",
    )
    work = collect([tmp_path / "in"], None, tmp_path / "out")
    assert found(work, tmp_path) == {
        "in/b.jpg": ("in/b_mask.png", "out/b.jpg"),
        "in/sub/a.png": ("in/sub/a_mask.jpg", "out/sub/a.png"),
        "in/sub/deep/c.TIF": (None, "out/sub/deep/c.TIF"),
    }
    assert [job.photo for job in work] == sorted(job.photo for job in work)


def test_several_photos_go_into_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "sub/b.png", "m.png")
    work = collect(
        [tmp_path / "sub/b.png", tmp_path / "a.jpg"], str(tmp_path / "m.png"), tmp_path / "out"
    )
    assert found(work, tmp_path) == {
        "a.jpg": ("m.png", "out/a.jpg"),
        "sub/b.png": ("m.png", "out/b.png"),
    }


def test_a_format_changes_the_ending_of_every_result(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.b.jpg", "c.tiff")
    work = collect([tmp_path / "in"], ALPHA, tmp_path / "out", ".png")
    assert found(work, tmp_path) == {
        "in/a.b.jpg": (ALPHA, "out/a.b.png"),
        "in/c.tiff": (ALPHA, "out/c.png"),
    }


def test_a_mask_folder_is_searched_for_both_names(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg", "b.jpg", "c.jpg", "sub/a.jpg")
    touch(tmp_path / "masks", "a.png", "b_mask.png", "b.png", "sub/a.png")
    work = collect([tmp_path / "in"], str(tmp_path / "masks"), tmp_path / "out")
    masks = {photo: mask for photo, (mask, _) in found(work, tmp_path).items()}
    assert masks == {
        "in/a.jpg": "masks/a.png",
        "in/b.jpg": "masks/b_mask.png",
        "in/c.jpg": None,
        "in/sub/a.jpg": "masks/sub/a.png",
    }


def test_a_photo_is_never_its_own_mask(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "b_mask.png")
    work = collect([tmp_path], str(tmp_path), tmp_path / "out")
    masks = {photo: mask for photo, (mask, _) in found(work, tmp_path).items()}
    assert masks == {"a.png": None, "b.png": "b_mask.png"}


@pytest.mark.parametrize("mask", ["masks", "mask.png"])
def test_masks_that_lie_among_the_photos_are_not_filled(tmp_path: Path, mask: str) -> None:
    touch(tmp_path, "a.png", "mask.png" if mask == "mask.png" else "masks/a.png")
    work = collect([tmp_path], str(tmp_path / mask), tmp_path / "out")
    assert [job.photo.name for job in work] == ["a.png"]
    assert work[0].photo == tmp_path / "a.png"


def test_a_mask_is_what_has_a_photo_beside_it(tmp_path: Path) -> None:
    touch(tmp_path / "in", "gas_mask.jpg", "gas_mask_mask.png", "a.JPG", "a_mask.png", "_mask.png")
    touch(tmp_path / "in", "sub/a_mask.webp", "sub/venice_sketch.tif")
    touch(tmp_path, "hole.png")
    alone = found(
        collect([tmp_path / "in"], str(tmp_path / "hole.png"), tmp_path / "out"), tmp_path
    )
    expected = ["_mask.png", "a.JPG", "gas_mask.jpg", "sub/a_mask.webp", "sub/venice_sketch.tif"]
    assert sorted(alone) == [f"in/{name}" for name in expected]
    beside = found(collect([tmp_path / "in"], None, tmp_path / "out"), tmp_path)
    assert beside["in/gas_mask.jpg"] == ("in/gas_mask_mask.png", "out/gas_mask.jpg")
    assert beside["in/a.JPG"] == ("in/a_mask.png", "out/a.JPG")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("name", ["Café", "Ångström à l'été", "が"])
def test_an_accent_may_be_written_in_two_ways(
    tmp_path: Path, name: str, forms: tuple[Literal["NFC", "NFD"], Literal["NFC", "NFD"]]
) -> None:
    photo, mask = (unicodedata.normalize(form, name) for form in forms)
    touch(tmp_path / "in", f"{photo}.jpg", f"{mask}_mask.png")
    touch(tmp_path / "masks", f"{mask}.png")
    for given, there in ((None, f"in/{mask}_mask.png"), ("masks", f"masks/{mask}.png")):
        folder = None if given is None else str(tmp_path / given)
        work = found(collect([tmp_path / "in"], folder, tmp_path / "out"), tmp_path)
        assert work == {f"in/{photo}.jpg": (there, f"out/{photo}.jpg")}


def test_results_below_the_photos_are_not_photos(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "out/a.png", "out/sub/b.png", "output/c.png")
    work = collect([tmp_path], None, tmp_path / "out")
    # Only what lies in the result folder itself, not what begins with its name.
    assert sorted(found(work, tmp_path)) == ["a.png", "output/c.png"]


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.png", "sub/a.jpg")
    with pytest.raises(ImageError, match=r"a\.jpg and .*a\.png would both become .*a\.webp"):
        collect([tmp_path], None, tmp_path / "out", ".webp")
    with pytest.raises(ImageError, match="would both become"):
        collect([tmp_path / "a.jpg", tmp_path / "sub/a.jpg"], None, tmp_path / "out")


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(ImageError, match=r"b\.jpg does not exist"):
        collect([tmp_path / "a.jpg", tmp_path / "b.jpg"], None, tmp_path / "out")
    with pytest.raises(MaskError, match=r"m\.png does not exist"):
        collect([tmp_path / "a.jpg"], str(tmp_path / "m.png"), tmp_path / "out.png")


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt", "a_mask.txt")
    with pytest.raises(ImageError, match="holds no photos"):
        collect([tmp_path], None, tmp_path / "out")


# --- run ----------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path: Path, photo: Photo, hole: Mask) -> Job:
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(hole).save(tmp_path / "a_mask.png")
    return Job(tmp_path / "a.png", tmp_path / "a_mask.png", tmp_path / "filled.png")


def test_a_job_writes_the_fill(inpainter: Inpainter, job: Job, photo: Photo, hole: Mask) -> None:
    outcome = local_files.run(inpainter, job, Options())
    np.testing.assert_array_equal(
        np.asarray(Image.open(job.out)), inpainter(image=photo, mask=hole)
    )
    assert outcome.state == "filled"
    assert (outcome.width, outcome.height) == (photo.shape[1], photo.shape[0])
    assert outcome.hole == hole.mean()
    assert outcome.notices == ()


def test_options_reach_the_fill(inpainter: Inpainter, job: Job, photo: Photo, hole: Mask) -> None:
    Image.fromarray(~hole[::2, ::2]).save(job.out.with_name("a_mask.png"))
    local_files.run(inpainter, job, Options(invert=True, grow=4, fit="resize"))
    expected = inpainter(image=photo, mask=~hole[::2, ::2], invert=True, grow=4, fit="resize")
    np.testing.assert_array_equal(np.asarray(Image.open(job.out)), expected)


def test_alpha_as_mask(inpainter: Inpainter, tmp_path: Path, photo: Photo, hole: Mask) -> None:
    image = np.dstack([photo, np.where(hole, 0, 255).astype(np.uint8)])
    Image.fromarray(image).save(tmp_path / "a.png")
    local_files.run(inpainter, Job(tmp_path / "a.png", Path(ALPHA), tmp_path / "b.png"), Options())
    after = np.asarray(Image.open(tmp_path / "b.png"))
    np.testing.assert_array_equal(after, inpainter(image=image, mask="alpha"))
    assert after[..., 3].min() == 255


def test_a_result_that_exists_is_left_alone_unless_told(inpainter: Inpainter, job: Job) -> None:
    job.out.write_bytes(b"an earlier result")
    with pytest.raises(ImageError, match="exists: `overwrite=True` replaces it"):
        local_files.run(inpainter, job, Options())
    (outcome,) = local_files.run_all(inpainter, [job], Options())
    assert outcome.state == "skipped"
    assert any("overwrite=True" in line for line in outcome.notices)
    assert job.out.read_bytes() == b"an earlier result"
    assert local_files.run(inpainter, job, Options(overwrite=True)).state == "filled"
    assert Image.open(job.out).format == "PNG"


def test_a_photo_without_a_mask_is_refused(inpainter: Inpainter, job: Job) -> None:
    with pytest.raises(MaskError, match=r"a\.png has no mask.*a_mask\.png"):
        local_files.run(inpainter, Job(job.photo, None, job.out), Options())
    assert not job.out.exists()


def test_a_folder_is_not_taken_for_a_result(inpainter: Inpainter, job: Job) -> None:
    job.out.mkdir()
    for overwrite in (False, True):
        with pytest.raises(ImageError, match="it is a folder"):
            local_files.run(inpainter, job, Options(overwrite=overwrite))


@pytest.mark.parametrize("kind", [MemoryError, OutOfMemoryError])
def test_want_of_memory_is_said_and_does_not_stop_the_others(
    inpainter: Inpainter, job: Job, monkeypatch: pytest.MonkeyPatch, kind: type[MemoryError]
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise kind

    monkeypatch.setattr(local_files, "run", exhausted)
    outcomes = list(local_files.run_all(inpainter, [job, job], Options()))
    told = f"{job.photo}: there was not enough memory"
    assert [(one.state, one.notices) for one in outcomes] == [("failed", (told,))] * 2


@pytest.mark.parametrize("workers", [1, 3])
def test_one_that_fails_does_not_stop_the_others(
    inpainter: Inpainter, tmp_path: Path, photo: Photo, hole: Mask, workers: int
) -> None:
    Image.fromarray(hole).save(tmp_path / "mask.png")
    for name in ("a", "c"):
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    (tmp_path / "block").touch()
    work = [
        Job(tmp_path / f"{name}.png", tmp_path / "mask.png", tmp_path / folder / f"{name}.png")
        for name, folder in (("a", "new/deep"), ("b", "new"), ("a", "block/below"), ("c", "new"))
    ]
    outcomes = list(local_files.run_all(inpainter, work, Options(), workers))
    assert [outcome.state for outcome in outcomes] == ["filled", "failed", "failed", "filled"]
    assert [outcome.job for outcome in outcomes] == work
    assert work[0].out.exists()
    assert work[3].out.exists()
    assert not work[1].out.exists()
    assert "b.png" in outcomes[1].notices[0]
    assert "block" in outcomes[2].notices[0]


class Watched:
    """Stands in for an inpainter: counts the fills at a time, each of which waits for others."""

    def __init__(self, expected: int = 1) -> None:
        self.changed = threading.Condition()
        self.expected = expected
        self.now = self.most = self.all = 0

    def run(self, request: FillRequest) -> Result:
        with self.changed:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.expected, timeout=20)
        time.sleep(0.03)  # time for one too many to come in
        with self.changed:
            self.now -= 1
        picture = read_picture(cast(Path, request.image))
        return Result(picture, np.ones(picture.size, bool))


@pytest.fixture
def eight(tmp_path: Path, photo: Photo, hole: Mask) -> list[Job]:
    Image.fromarray(hole).save(tmp_path / "mask.png")
    Image.fromarray(photo).save(tmp_path / "a.png")
    return [
        Job(tmp_path / "a.png", tmp_path / "mask.png", tmp_path / f"out{n}.png") for n in range(8)
    ]


@pytest.mark.parametrize(("room", "together"), [(8.0, 4), (2.5, 2), (0.5, 1)])
def test_only_so_many_pixels_are_worked_on_at_a_time(
    eight: list[Job], photo: Photo, monkeypatch: pytest.MonkeyPatch, room: float, together: int
) -> None:
    monkeypatch.setattr(local_files, "IN_WORK", int(room * photo.shape[0] * photo.shape[1]))
    watched = Watched(together)
    outcomes = list(local_files.run_all(cast(Inpainter, watched), eight, Options(), 4))
    assert [(outcome.job, outcome.state) for outcome in outcomes] == [
        (job, "filled") for job in eight
    ]
    assert watched.most == together


def test_whoever_stops_early_waits_for_what_is_begun_and_for_no_more(eight: list[Job]) -> None:
    watched = Watched()
    coming = local_files.run_all(cast(Inpainter, watched), eight, Options(), 1)
    next(coming)
    coming.close()
    written = [job for job in eight if job.out.exists()]
    assert watched.now == 0
    assert written == eight[: watched.all]
    assert watched.all <= 4, "what was handed out before the first was taken"
