"""ONNX Runtime on the CPU: the default engine, small and fast without torch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from freefill.engines.cores import available_cores
from freefill.errors import WeightsError
from freefill.guidance.sketch import CHANNELS

INPUTS = ["image", "hole"]
NONE = np.zeros((1, CHANNELS, 2, 2), np.float32)
"""Stands for no guidance at any size, so that none costs nothing."""


class OnnxEngine:
    """One network in ONNX Runtime.

    Args:
        path: An ONNX file with inputs ``image``, ``hole`` and perhaps ``guidance``, and output
            ``filled``.
        threads: Threads within one run; by default one for each core this process may use.

    Raises:
        WeightsError: If the file cannot be loaded or has other inputs.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.threads = threads or available_cores()
        self.session = open_session(path, self.threads)
        names = [i.name for i in self.session.get_inputs()]
        self.guided = names == [*INPUTS, "guidance"]
        if names != INPUTS and not self.guided:
            raise WeightsError(
                f"{path} has inputs {names}; freefill weights have image and hole, perhaps guidance"
            )
        self.name = f"ONNX Runtime {onnxruntime.__version__}, CPU, {self.threads} threads"

    def predict(
        self,
        image: NDArray[np.float32],
        hole: NDArray[np.float32],
        guidance: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Predict whole crops; see :class:`freefill.engines.base.Engine`."""
        given = {"image": image, "hole": hole}
        if self.guided:
            given["guidance"] = NONE if guidance is None else guidance
        (filled,) = self.session.run(["filled"], given)
        result: NDArray[np.float32] = filled
        return result


def open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load a network.

    Args:
        path: An ONNX file, or one in ONNX Runtime's own format.
        threads: Threads within one run.

    Returns:
        The session.

    Raises:
        WeightsError: If it cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning keeps idle threads at full load between operations. On a machine that does
    # anything else at the same time, that costs more than it saves: 75 ms a run against 43 at
    # 512x512 on two cores with a second session alive.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own exception types share no public base
        raise WeightsError(f"{path} cannot be loaded by ONNX Runtime: {error}") from None
