"""Devices: what there is, what pip brings, and the processor where one fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from freefill.errors import ConfigError, ExtraMissingError, WeightsError
from freefill.pipeline.engines import onnx as onnx_engine
from freefill.pipeline.engines.devices import PROVIDERS, choose
from freefill.pipeline.engines.onnx import Network, OnnxEngine
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest

CROP = np.zeros((1, 3, 32, 32), np.float32)
HOLE = np.ones((1, 1, 32, 32), np.float32)


def offer(monkeypatch: pytest.MonkeyPatch, *devices: Any) -> None:
    providers = [PROVIDERS[device] for device in devices]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)


@pytest.mark.parametrize(
    ("device", "pip"),
    [
        ("cuda", "pip uninstall onnxruntime && pip install onnxruntime-gpu"),
        ("coreml", "macOS alone: pip install -U onnxruntime"),
        ("directml", "on Windows, in its place: .* pip install onnxruntime-directml"),
        ("openvino", "pip uninstall onnxruntime && pip install onnxruntime-openvino"),
    ],
)
def test_what_is_missing_is_named_with_the_line_for_pip(
    device: Any, pip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "cpu")
    with pytest.raises(ExtraMissingError, match=f"cannot use {device}: it has CPUEx.*; .*{pip}"):
        Inpainter(device=device)


def test_auto_takes_the_best_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in (
        (("cpu",), "cpu"),
        (("openvino", "cpu"), "openvino"),
        (("directml", "openvino", "cpu"), "directml"),
        (("coreml", "cpu"), "coreml"),
        (("cpu", "cuda"), "cuda"),
    ):
        offer(monkeypatch, *there)
        assert choose("auto") == expected
    with pytest.raises(ConfigError, match='`device="gpu"`: it must be cpu or cuda or'):
        choose("gpu")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_device_that_does_not_answer_is_replaced_and_told(
    monkeypatch: pytest.MonkeyPatch, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    # Where it is built for one, ONNX Runtime only warns, and computes on the processor.
    expected = Inpainter(threads=1)(photo, hole)
    offer(monkeypatch, "cuda", "cpu")
    inpainter = Inpainter(threads=1, device="cuda")
    assert ", CPU, 1 threads" in inpainter.engine.name
    result, again = (inpainter.run(FillRequest(photo, hole)) for _ in range(2))
    (line,) = set(result.notices) - set(again.notices)
    assert line.startswith(
        "the processor computes in the place of cuda: ONNX Runtime found no cuda"
    )
    assert (result.picture.samples == expected).all()


class Failing:
    """A session on a device that breaks in its second run."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session, self.runs = session, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run(self, *given: Any) -> Any:
        self.runs += 1
        if self.runs > 1:
            raise RuntimeError("CUDA failure 700:\n an illegal memory access was encountered")
        return self.session.run(*given)


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "cuda", "cpu")
    real = onnx_engine.open_session

    def opened(path: Path, threads: int, device: Any = "cpu", **more: Any) -> Any:
        session = real(path, threads, "cpu", **more)
        return session if device == "cpu" else Failing(session)

    monkeypatch.setattr(onnx_engine, "open_session", opened)


def test_a_device_that_breaks_later_is_replaced_too(breaking: None, tmp_path: Path) -> None:
    path = networks.write(tmp_path / "a.onnx", networks.scaled(1))
    engine = OnnxEngine(path, 1, "cuda")
    for _ in range(3):
        assert (engine.predict(CROP, HOLE) == CROP).all()
    assert engine.notices == [
        "the processor computes in the place of cuda: it failed: CUDA failure 700: an illegal "
        "memory access was encountered"
    ]


def test_batches_stay_on_their_device(breaking: None, tmp_path: Path) -> None:
    network = Network(networks.write(tmp_path / "a.onnx", networks.scaled(1)), 1, "cuda")
    network.stay_on("cuda")
    given = {"image": CROP, "hole": HOLE}
    network.run("filled", given)
    with pytest.raises(WeightsError, match=r"a\.onnx fails on crops of .*CUDA failure 700"):
        network.run("filled", given)
    with pytest.raises(WeightsError, match="cuda computes, not cpu"):
        network.stay_on("cpu")


def test_errors_of_the_processor_are_not_tried_again(tmp_path: Path) -> None:
    network = Network(networks.write(tmp_path / "a.onnx", networks.one_size()), 1)
    with pytest.raises(WeightsError, match=r"a\.onnx fails on crops of \(1, 3, 32, 32\)"):
        network.run("filled", {"image": CROP, "hole": HOLE})
    assert network.notices == []
