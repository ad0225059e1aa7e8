"""A network from elsewhere computes anything: what are no colours is refused by name."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from numpy.typing import NDArray

from freefill.errors import WeightsError
from freefill.pipeline.engines.base import check_predicted
from freefill.pipeline.engines.onnx import OnnxEngine
from freefill.pipeline.engines.stopping import StoppedRunError, Stopper
from freefill.pipeline.inpainter import Inpainter

CROP = np.zeros((1, 3, 32, 32), np.float32)
HOLE = np.ones((1, 1, 32, 32), np.float32)


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        (networks.scaled(math.nan), r"wrong gave ([\d,]+) of \1 values that are no numbers"),
        (networks.scaled(math.inf), r"wrong gave [\d,]+ of [\d,]+ values that are no numbers"),
        (networks.cut(), r"wrong gave float32 \(1, 3, 1, 1\) for crops float32 \(1, 3, \d+"),
        (networks.whole_numbers(), r"wrong gave uint8 \("),
        (networks.one_size(), r"wrong\.onnx fails on crops of \(1, 3, "),
    ],
    ids=["nan", "infinite", "spread", "bytes", "one size"],
)
def test_what_is_no_picture_is_not_filled_with(
    nodes: list[Any], told: str, photo: NDArray[np.uint8], hole: NDArray[np.bool_], tmp_path: Path
) -> None:
    inpainter = Inpainter(networks.write(tmp_path / "wrong.onnx", nodes), threads=1)
    with pytest.raises(WeightsError, match=told):
        inpainter(photo, hole)


def test_a_network_that_gives_colours_fills(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], tmp_path: Path
) -> None:
    inpainter = Inpainter(networks.write(tmp_path / "a.onnx", networks.scaled(1)), threads=1)
    assert inpainter(photo, hole).shape == photo.shape


@pytest.mark.parametrize("name", [b"hole", b"image", b"filled"])
def test_names_that_are_no_text_are_refused(name: bytes, tmp_path: Path) -> None:
    path = networks.write(tmp_path / "wrong.onnx", networks.scaled(1))
    path.write_bytes(path.read_bytes().replace(name, b"\xc6" + name[1:]))
    with pytest.raises(WeightsError, match=r"wrong\.onnx (has inputs or outputs|cannot be loaded)"):
        OnnxEngine(path, threads=1)


def test_a_network_without_our_output_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    path = networks.write(tmp_path / "other.onnx", networks.scaled(1, "mean"), "mean")
    with pytest.raises(WeightsError, match=r"other\.onnx has outputs \['mean'\]"):
        OnnxEngine(path)


@pytest.mark.parametrize("given", [None, [1.0], np.zeros((1, 3, 32, 32), complex)], ids=type)
def test_engines_of_others_are_held_to_it_as_well(given: Any) -> None:
    with pytest.raises(WeightsError, match="the network theirs gave"):
        check_predicted(given, CROP.shape, "theirs")
    check_predicted(CROP.astype(np.float16), CROP.shape, "theirs")


def test_a_run_without_an_end_is_ended_from_outside(tmp_path: Path) -> None:
    engine = OnnxEngine(networks.write(tmp_path / "endless.onnx", networks.endless()), threads=1)
    stopper, ended = Stopper(), threading.Event()
    running = threading.Event()

    def compute() -> None:
        running.set()
        with stopper.watching(), pytest.raises(StoppedRunError):
            engine.predict(CROP, HOLE)
        ended.set()

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    assert running.wait(30)
    stopper.stop()
    assert ended.wait(30)
    # And none begins after that.
    with stopper.watching(), pytest.raises(StoppedRunError):
        engine.predict(CROP, HOLE)
    thread.join()


def test_nobody_else_is_stopped(inpainter: Inpainter) -> None:
    stopper = Stopper()
    stopper.stop()
    with stopper.watching():
        pass
    assert inpainter.engine.predict(CROP, HOLE).shape == CROP.shape
