"""Each kind of image and mask: it comes back as it was, and gives what an array gives."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import UserList
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import freefill
from freefill.errors import FreefillError, GuidanceError, ImageError, MaskError
from freefill.pipeline.inpainter import Inpainter
from freefill.types import Mask

Photo = NDArray[np.uint8]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def encoded(pixels: NDArray[Any], file_format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, file_format)
    return out.getvalue()


@pytest.fixture(scope="module")
def expected(inpainter: Inpainter, photo: Photo, hole: Mask) -> Photo:
    filled: Photo = inpainter(photo, hole)
    return filled


# --- tensors ------------------------------------------------------------------------------------


def tensor_of(photo: Photo, shape: str, dtype: torch.dtype) -> torch.Tensor:
    """Give the photo as a tensor: its channels first, and its values in the range of the type."""
    planes = torch.from_numpy(photo.transpose(2, 0, 1).copy())
    alpha = torch.full_like(planes[:1], 255)
    made = {
        "H W": planes[0],
        "1 H W": planes[:1],
        "3 H W": planes,
        "4 H W": torch.cat([planes, alpha]),
        "B 3 H W": torch.stack([planes, planes.flip(0)]),
        "B 1 H W": torch.stack([planes[:1], planes[1:2]]),
    }[shape]
    if dtype == torch.uint16:
        return (made.int() * 257).to(dtype)
    return made if dtype == torch.uint8 else (made / 255).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, *FLOATS], ids=str)
@pytest.mark.parametrize("shape", ["H W", "1 H W", "3 H W", "4 H W", "B 3 H W", "B 1 H W"])
def test_a_tensor_comes_back_as_it_was(
    inpainter: Inpainter, photo: Photo, hole: Mask, shape: str, dtype: torch.dtype
) -> None:
    image = tensor_of(photo, shape, dtype)
    before, mask = image.clone(), torch.from_numpy(hole.copy())
    filled = inpainter(image, mask)
    assert isinstance(filled, torch.Tensor)
    assert (filled.shape, filled.dtype, filled.device) == (image.shape, dtype, image.device)
    # As bits, which torch can compare of every type.
    after, known = (t.contiguous().view(torch.uint8) for t in (filled, before))
    assert torch.equal(image.contiguous().view(torch.uint8), known)
    outside = torch.from_numpy(np.repeat(~hole, image.element_size(), axis=1))
    assert torch.equal(after[..., outside], known[..., outside])
    assert not torch.equal(after, known)


def test_a_tensor_gives_what_the_array_gives(
    inpainter: Inpainter, photo: Photo, hole: Mask, expected: Photo
) -> None:
    image = torch.from_numpy(photo.copy()).permute(2, 0, 1)
    for mask in (hole, torch.from_numpy(hole.copy()), torch.from_numpy(hole.copy())[None]):
        np.testing.assert_array_equal(inpainter(image, mask).permute(1, 2, 0).numpy(), expected)
    # A batch is its images one after the other, each with its own mask.
    other = torch.from_numpy(np.roll(hole, 9, 0))
    batch, masks = (
        torch.stack([image, image.flip(1)]),
        torch.stack([torch.from_numpy(hole.copy()), other]),
    )
    alone = torch.stack([inpainter(batch[i], masks[i]) for i in range(2)])
    for several in (masks, masks[:, None], list(masks), masks.to(torch.float32)):
        assert torch.equal(inpainter(batch, several), alone)
    # One for all, in whichever way it is written.
    alone = torch.stack([inpainter(each, masks[0]) for each in batch])
    for one in (masks[0], masks[:1], hole):
        assert torch.equal(inpainter(batch, one), alone)
    assert inpainter(batch[:0], masks[0]).shape == (0, 3, 96, 120)


def test_planes_beside_a_batch_are_masks_and_no_colours(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    image = torch.from_numpy(photo.copy()).permute(2, 0, 1)
    colours = torch.from_numpy(hole.copy()).float().expand(3, -1, -1)
    assert torch.equal(inpainter(image, colours), inpainter(image, hole))
    with pytest.raises(MaskError, match="2 images and 3 masks"):
        inpainter(torch.stack([image, image]), colours)


def test_what_comes_back_has_no_gradient(inpainter: Inpainter, photo: Photo, hole: Mask) -> None:
    image = torch.nn.Parameter(torch.from_numpy(photo / np.float32(255)).permute(2, 0, 1))
    for given in (image, image[None]):
        filled = inpainter(given, hole)
        assert given.requires_grad
        assert not filled.requires_grad
    assert "gradient" in (freefill.fill.__doc__ or "")


def test_tensors_and_arrays_guide_alike(inpainter: Inpainter, photo: Photo, hole: Mask) -> None:
    lines = np.zeros(hole.shape, bool)
    lines[44:47, 40:90] = True
    drawn = inpainter(photo, hole, sketch=lines)
    for sketch in (torch.from_numpy(lines), torch.from_numpy(lines)[None], lines[..., None]):
        np.testing.assert_array_equal(inpainter(photo, hole, sketch=sketch), drawn)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(8, 8, 3), r"\(C, H, W\).*\(8, 8, 3\)"),
        (torch.zeros(1, 1, 1, 8, 8), r"\(1, 1, 1, 8, 8\)"),
        (torch.zeros(8, 8, dtype=torch.bool), "not bool"),
        (torch.zeros(8, 8, dtype=torch.int32), "not int32"),
        (torch.full((8, 8), 255.0), "0, 1.*255.*divide"),
        (torch.zeros(8, 8).to_sparse(), "cannot be read.*to_dense"),
        (torch.zeros(8, 8, device="meta"), "meta cannot be read"),
        (torch.zeros(2, 3, 8, 8, device="meta"), "image 1 of 2.*meta"),
        (torch.zeros(8, 8).to(torch.float8_e4m3fn), "float8"),
        (torch.zeros(3, 0, 8), r"\(0, 8, 3\)"),
    ],
)
def test_tensors_without_pixels_are_refused(
    inpainter: Inpainter, image: torch.Tensor, words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        inpainter(image, np.zeros((8, 8), bool))


def test_torch_is_not_imported_for_whoever_has_not() -> None:
    code = """
import sys, io, numpy as np, freefill
image, mask = np.zeros((32, 32, 3), np.uint8), np.eye(32, dtype=bool)
freefill.fill(image, mask), freefill.fill([image], mask), freefill.Inpainter(threads=1)(image, mask)
try:
    freefill.fill(object(), mask)
except freefill.FreefillError as error:
    print(error)
assert "torch" not in sys.modules
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().endswith("not object")


# --- arrays -------------------------------------------------------------------------------------


class Tagged(np.ndarray[Any, Any]):
    """A subclass, as libraries of measurements have them."""


@pytest.mark.parametrize(
    "made",
    [
        np.asfortranarray,
        lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
        lambda a: np.repeat(a, 2, 1)[:, ::2],
        lambda a: a.view(Tagged),
        lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
    ],
    ids=["Fortran", "negative", "strided", "subclass", "read-only"],
)
def test_how_an_array_lies_in_memory_changes_nothing(
    inpainter: Inpainter, photo: Photo, hole: Mask, expected: Photo, made: Callable[[Any], Any]
) -> None:
    image = made(photo)
    filled = inpainter(image, made(hole))
    assert type(filled) is np.ndarray
    assert filled.flags.writeable
    assert not np.shares_memory(filled, image)
    np.testing.assert_array_equal(filled, expected)
    np.testing.assert_array_equal(np.asarray(image), photo)


def test_a_memory_map_is_an_array(
    inpainter: Inpainter, photo: Photo, hole: Mask, expected: Photo, tmp_path: Path
) -> None:
    np.save(tmp_path / "photo.npy", photo)
    filled = inpainter(np.load(tmp_path / "photo.npy", mmap_mode="r"), hole)
    assert type(filled) is np.ndarray
    np.testing.assert_array_equal(filled, expected)


@pytest.mark.parametrize("dtype", [np.uint16, np.float16, np.float32, np.float64])
def test_the_order_of_bytes_changes_nothing(
    inpainter: Inpainter, photo: Photo, hole: Mask, dtype: type
) -> None:
    image = photo.astype(dtype) * 257 if dtype == np.uint16 else (photo / 255).astype(dtype)
    other = image.astype(image.dtype.newbyteorder())
    grey = hole.astype(np.uint16) * np.uint16(65535)
    filled = inpainter(other, grey.astype(grey.dtype.newbyteorder()))
    assert filled.dtype == other.dtype
    np.testing.assert_array_equal(filled, inpainter(image, hole))


def test_a_masked_array_is_refused(inpainter: Inpainter, photo: Photo, hole: Mask) -> None:
    masked = np.ma.masked_array(photo, photo > 99)
    with pytest.raises(ImageError, match=r"masked array.*`data`"):
        inpainter(masked, hole)
    with pytest.raises(MaskError, match=r"masked array.*`data`"):
        inpainter(photo, np.ma.masked_array(hole, ~hole))


# --- lists --------------------------------------------------------------------------------------


def test_a_list_comes_back_as_a_list(
    inpainter: Inpainter, photo: Photo, hole: Mask, expected: Photo, tmp_path: Path
) -> None:
    (tmp_path / "photo.png").write_bytes(encoded(photo))
    wide = np.concatenate([photo, photo[:, ::-1]], 1)
    hole_of_wide = np.concatenate([hole, np.zeros_like(hole)], 1)
    # Of different sizes, each with its mask.
    one, two = inpainter([photo, wide], [hole, hole_of_wide])
    np.testing.assert_array_equal(one, expected)
    np.testing.assert_array_equal(two, inpainter(wide, hole_of_wide))
    # Of different kinds, with one mask for all.
    path = tmp_path / "photo.png"
    kinds: list[Any] = [
        photo,
        str(path),
        path,
        Image.open(path),
        path.read_bytes(),
        path.open("rb"),
    ]
    filled = inpainter(kinds, hole)
    assert [type(each) for each in filled[:1] + filled[4:]] == [np.ndarray, bytes, bytes]
    for each in filled:
        pixels = Image.open(io.BytesIO(each)) if isinstance(each, bytes) else each
        np.testing.assert_array_equal(np.asarray(pixels), expected)
    assert isinstance(inpainter((photo,), (hole,)), list)
    assert freefill.fill([], hole) == freefill.fill([], []) == []


def test_an_open_mask_serves_all_of_a_list(
    inpainter: Inpainter, photo: Photo, hole: Mask, expected: Photo
) -> None:
    lines = np.zeros(hole.shape, bool)
    lines[44:47, 40:90] = True
    mask, sketch = (io.BytesIO(encoded(plane)) for plane in (hole, lines))
    drawn = inpainter(photo, hole, sketch=lines)
    for filled in inpainter([photo, photo], mask, sketch=sketch):
        np.testing.assert_array_equal(filled, drawn)


def test_errors_and_notices_name_the_image(inpainter: Inpainter, photo: Photo, hole: Mask) -> None:
    empty = np.zeros_like(hole)
    with pytest.warns(freefill.FreefillWarning) as told:
        inpainter([photo, photo], [hole, empty])
    assert [str(line.message) for line in told] == [
        "image 2 of 2: the mask is empty: nothing is filled"
    ]
    with pytest.raises(MaskError, match="image 2 of 3: image is 120x96 but mask is 40x96"):
        inpainter([photo] * 3, [hole, hole[:, :40], hole])
    with pytest.raises(ImageError, match=r"image 1 of 1: .* not list"):
        inpainter([[photo]], hole)
    with pytest.raises(MaskError, match="2 images and 1 mask:"):
        inpainter([photo, photo], [hole])
    with pytest.raises(MaskError, match="2 masks are given for one image"):
        inpainter(photo, [hole, hole])
    for no_list in (UserList([photo]), iter([photo]), {"a": photo}):
        with pytest.raises(ImageError, match="a list of these, not"):
            inpainter(no_list, hole)


# --- open files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_open_file_comes_back_as_bytes_of_its_format(
    inpainter: Inpainter, photo: Photo, hole: Mask, file_format: str
) -> None:
    content = encoded(photo, file_format)
    file = io.BytesIO(content)
    filled = inpainter(file, hole)
    assert filled == inpainter(content, hole)
    assert Image.open(io.BytesIO(filled)).format == file_format
    assert not file.closed
    # Again, and from wherever it stands: a file that was just written stands at its end.
    file.seek(7)
    assert inpainter(file, hole) == filled


def test_files_of_all_sorts(
    inpainter: Inpainter, photo: Photo, hole: Mask, expected: Photo, tmp_path: Path
) -> None:
    content = encoded(photo)
    (tmp_path / "photo.png").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("photo.png", content)
    whole = inpainter(content, hole)
    with (tmp_path / "photo.png").open("rb") as file:
        assert inpainter(file, hole) == whole
        assert not file.closed
    with zipfile.ZipFile(tmp_path / "a.zip") as packed, packed.open("photo.png") as member:
        assert inpainter(member, hole) == whole
    with tempfile.SpooledTemporaryFile() as spooled, tempfile.TemporaryFile() as nameless:
        for temporary in (spooled, nameless):
            temporary.write(content)
            assert inpainter(temporary, hole) == whole
    # What cannot go back is read from where it is.
    reading, writing = os.pipe()
    os.write(writing, encoded(hole))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        np.testing.assert_array_equal(inpainter(photo, pipe), expected)
    ours, theirs = socket.socketpair()
    ours.sendall(encoded(hole))
    ours.close()
    with theirs, theirs.makefile("rb") as stream:
        np.testing.assert_array_equal(inpainter(photo, stream), expected)


def test_files_that_give_no_bytes_are_refused(
    inpainter: Inpainter, photo: Photo, hole: Mask, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(photo))
    (tmp_path / "text.txt").write_text("photo.png")
    closed = io.BytesIO(encoded(photo))
    closed.close()
    with (
        path.open() as text,
        (tmp_path / "text.txt").open() as name,
        (tmp_path / "w").open("wb") as w,
    ):
        for file, words in (
            (text, 'photo.png gives str, not bytes: open it as "rb"'),
            (name, 'text.txt gives str, not bytes: open it as "rb"'),
            (io.StringIO("photo.png"), 'the open file gives str, not bytes: open it as "rb"'),
            (w, "w cannot be read"),
            (closed, "the open file cannot be read: I/O operation on closed file"),
            (io.BytesIO(), "the open file is empty"),
        ):
            with pytest.raises(ImageError, match=words):
                inpainter(file, hole)  # type: ignore[call-overload]
            with pytest.raises(MaskError, match=words):
                inpainter(photo, file)  # type: ignore[call-overload]
            with pytest.raises(GuidanceError, match=f"sketch: .*{words}"):
                inpainter(photo, hole, sketch=file)  # type: ignore[call-overload]


def test_bytes_of_what_is_only_read_do_not_come_back(
    inpainter: Inpainter, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.BytesIO()
    Image.fromarray(photo[:32, :32]).save(out, "DDS")
    # As where Pillow was built without an encoder.
    monkeypatch.delitem(Image.SAVE, "DDS")
    with pytest.raises(ImageError, match=r"DDS can be read and not written.*fill_file"):
        inpainter(out.getvalue(), np.eye(32, dtype=bool))


def test_sixteen_bits_as_a_pillow_image_are_told_at_the_callers_line(
    inpainter: Inpainter, photo: Photo, hole: Mask, tmp_path: Path
) -> None:
    from freefill.imaging.io import encode, read_picture

    path = tmp_path / "deep.png"
    path.write_bytes(encode(read_picture(photo.astype(np.uint16) * np.uint16(257)), "PNG")[0])
    with pytest.warns(freefill.FreefillWarning, match="rounded to 8 bits") as told:
        inpainter(path, hole)
    assert [line.filename for line in told] == [__file__]
    with pytest.warns(freefill.FreefillWarning, match="rounded to 8 bits") as told:
        freefill.fill([path], hole)
    assert [line.filename for line in told] == [__file__]


# --- soft masks ---------------------------------------------------------------------------------


def test_a_soft_mask_may_be_of_any_kind(inpainter: Inpainter, photo: Photo, tmp_path: Path) -> None:
    across = np.interp(np.arange(120), [20, 50, 70, 100], [0, 255, 255, 0]).round()
    ramp = np.tile(across.astype(np.uint8), (96, 1))
    (tmp_path / "ramp.png").write_bytes(encoded(ramp))
    soft = inpainter(photo, Image.fromarray(ramp), soft=True)
    hard = inpainter(photo, Image.fromarray(ramp))
    # A quarter of the way in, half of the fill is seen.
    blend = (photo[:, 42].astype(float) + hard[:, 42]) / 2
    assert abs(soft[:, 42] - blend).max() < 4
    assert (soft != hard).any()
    tensor = torch.from_numpy(ramp)
    kinds: dict[str, Any] = {
        "path": tmp_path / "ramp.png",
        "bytes": encoded(ramp),
        "file": io.BytesIO(encoded(ramp)),
        "uint8": ramp,
        "uint16": ramp.astype(np.uint16) * np.uint16(257),
        "float64": ramp / 255,
        "column": ramp[..., None],
        "RGB": np.repeat(ramp[..., None], 3, 2),
        "tensor": tensor,
        "float tensor": tensor[None] / 255,
    }
    for kind, mask in kinds.items():
        filled = inpainter(photo, mask, soft=True).astype(int)
        assert abs(filled - soft).max() <= 1, kind
    batch = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None]
    of_batch = inpainter(batch, tensor[None, None], soft=True)[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(of_batch, soft)


@pytest.mark.parametrize("mask", [None, "alpha", "bool", "tensor"])
def test_a_mask_that_has_nothing_soft_is_refused(
    inpainter: Inpainter, photo: Photo, hole: Mask, mask: str | None
) -> None:
    image = np.dstack([photo, np.where(hole, 0, 255).astype(np.uint8)])
    kinds: dict[str | None, Any] = {"bool": hole, "tensor": torch.from_numpy(hole.copy())}
    with pytest.raises(MaskError, match="a soft mask is an image with greys"):
        inpainter(image, kinds.get(mask, mask), soft=True)


# --- no mask ------------------------------------------------------------------------------------


def test_without_a_mask_something_must_be_transparent(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    opacity = np.where(hole, 0, 255).astype(np.uint8)
    image = np.dstack([photo, opacity])
    filled = inpainter(image)
    assert (filled[..., 3] == 255).all()
    for given in (None, "alpha"):
        np.testing.assert_array_equal(inpainter(image, given), filled)
    opaque = np.dstack([photo, np.full(hole.shape, 255, np.uint8)])
    with pytest.raises(
        MaskError, match="no mask is given, and nothing of the image is transparent"
    ):
        inpainter(opaque)
    with pytest.warns(freefill.FreefillWarning, match="empty: nothing is filled"):
        np.testing.assert_array_equal(inpainter(opaque, "alpha"), opaque)
    with pytest.raises(MaskError, match=r"no mask is given: .*no alpha channel.*mode is RGB"):
        inpainter(photo)
    with pytest.raises(MaskError, match=r'`mask="alpha"`: .*no alpha channel'):
        inpainter(photo, "alpha")


def test_the_old_name_of_the_mask_works_with_a_warning(
    inpainter: Inpainter, photo: Photo, hole: Mask, expected: Photo
) -> None:
    with pytest.warns(DeprecationWarning, match="called `mask` now") as told:
        filled = inpainter(image=photo, mask_image=hole)  # type: ignore[call-overload]
    assert [line.filename for line in told] == [__file__]
    np.testing.assert_array_equal(filled, expected)
    with warnings.catch_warnings(), pytest.raises(MaskError, match="both given"):
        inpainter(photo, hole, mask_image=hole)  # type: ignore[call-overload]


def test_every_error_is_of_one_tree() -> None:
    assert {ImageError, MaskError, GuidanceError} <= set(FreefillError.__subclasses__())
