"""Calls as a type checker sees them: `make check` runs mypy on this file, nobody runs it.

Each comment that ignores an error is a claim: where mypy finds none, it says so.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import assert_type

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import freefill
from freefill import Inpainter, fill, fill_file, list_weights, tasks
from freefill.pipeline.request import Result
from freefill.weights.registry import Weights

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


def arrays_and_tensors(
    inpainter: Inpainter, pixels: U8, floats: F32, hole: NDArray[np.bool_], tensor: torch.Tensor
) -> None:
    assert_type(fill(pixels, hole), U8)
    assert_type(inpainter(floats, hole), F32)
    assert_type(fill(pixels, mask=hole, model="light", grow=3, fit="resize"), U8)
    assert_type(fill(image=pixels, mask=hole, sketch=b"", colour=Path("a.png")), U8)
    assert_type(fill(tensor, tensor), torch.Tensor)
    assert_type(inpainter(tensor, [hole, hole], soft=True), torch.Tensor)
    assert_type(fill([pixels, pixels], [hole, hole]), list[U8])
    assert_type(inpainter((floats, floats), hole), list[F32])
    assert_type(inpainter([tensor], hole), list[torch.Tensor])


def files(
    inpainter: Inpainter, image: Image.Image, place: os.PathLike[str], member: zipfile.ZipExtFile
) -> None:
    assert_type(fill(image, image), Image.Image)
    assert_type(fill("photo.jpg", "alpha"), Image.Image)
    assert_type(inpainter(Path("photo.jpg")), Image.Image)
    assert_type(fill(place, place, model=place), Image.Image)
    assert_type(fill(b"", b""), bytes)
    assert_type(inpainter(io.BytesIO(), io.BytesIO()), bytes)
    assert_type(fill(member), bytes)
    with Path("photo.jpg").open("rb") as file:
        assert_type(fill(file), bytes)
    assert_type(
        fill_file("photo.jpg", None, place, strip=True, overwrite=True), Result[Image.Image]
    )
    assert_type(list_weights(), list[Weights])


def lists(
    inpainter: Inpainter, image: Image.Image, paths: list[Path], both: list[str | Path]
) -> None:
    assert_type(fill([image], b""), list[Image.Image])
    assert_type(fill(["a.png", "b.png"], ["c.png", b""]), list[Image.Image])
    assert_type(inpainter(paths, paths), list[Image.Image])
    assert_type(inpainter(both, "mask.png"), list[Image.Image])
    assert_type(fill([b"", b""], b""), list[bytes])
    assert_type(inpainter([io.BytesIO()], image), list[bytes])


def refused(inpainter: Inpainter, pixels: U8, hole: NDArray[np.bool_]) -> None:
    fill(pixels, hole).nonsense()  # type: ignore[attr-defined]
    fill([pixels], hole).mean()  # type: ignore[attr-defined]
    fill("photo.jpg").nonsense()  # type: ignore[attr-defined]
    fill(b"").nonsense()  # type: ignore[attr-defined]
    fill(pixels, hole, feather=3)  # type: ignore[call-overload]
    fill(pixels, hole, grow="3")  # type: ignore[call-overload]
    fill(pixels, hole, fit="stretch")  # type: ignore[call-overload]
    fill(pixels, hole, "light")  # type: ignore[call-overload]
    fill({1}, hole)  # type: ignore[call-overload]
    fill(io.StringIO(), hole)  # type: ignore[call-overload]
    fill("photo.jpg", [b"", b""])  # type: ignore[call-overload]
    inpainter(pixels, hole, model="light")  # type: ignore[call-overload]
    Inpainter(device="gpu")  # type: ignore[arg-type]
    Inpainter(threads="4")  # type: ignore[arg-type]
    fill_file(pixels, hole, "a.png")  # type: ignore[arg-type]
    freefill.nonsense()  # type: ignore[attr-defined]


def tasks_give_what_they_are_given(array: U8, floats: F32, image: Image.Image) -> None:
    assert_type(tasks.remove(array, box=(1, 2, 3, 4)).image, U8)
    assert_type(tasks.recompose(image, array, by=(3, 4)).image, Image.Image)
    assert_type(tasks.harmonise(b"", mask="mask.png").image, bytes)
    assert_type(tasks.uncrop(image="photo.png", left=3).image, Image.Image)
    assert_type(tasks.straighten(Path("photo.png")).image, Image.Image)
    with open("photo.png", "rb") as file:
        assert_type(tasks.unmark(file).image, bytes)
    assert_type(tasks.retarget(floats, width=8).image, F32)
    assert_type(tasks.stitch(array, ["b.png"]), Result[U8])
    assert_type(tasks.segment("photo.png", subject=True).image, U8)
    assert_type(tasks.unmark_stack([b"", b""])[0].image, bytes)
    tasks.uncrop(array, lef=3)  # type: ignore[call-overload]
    tasks.uncrop(array, left=[3])  # type: ignore[call-overload]
