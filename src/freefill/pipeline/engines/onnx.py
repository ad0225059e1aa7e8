"""ONNX Runtime: the default engine, small and fast without torch.

On the CPU unless a GPU is asked for, which needs ``onnxruntime-gpu`` in the place of
``onnxruntime``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from freefill.arguments import check_choice, check_whole
from freefill.errors import ExtraMissingError, WeightsError
from freefill.pipeline.engines import register_engine
from freefill.pipeline.engines.cpu_count import available_cores
from freefill.pipeline.engines.stopping import StoppedRunError, stoppable
from freefill.types import GUIDANCE_CHANNELS

Device = Literal["cpu", "cuda"]
PROVIDERS: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
MOST_THREADS = 1024
INPUTS = ["image", "hole"]
NO_GUIDANCE = np.zeros((1, GUIDANCE_CHANNELS, 2, 2), np.float32)
"""Stands for no guidance at any size, so that none costs nothing."""


@register_engine(".onnx")
class OnnxEngine:
    """One network in ONNX Runtime.

    Args:
        path: An ONNX file with inputs ``image``, ``hole`` and perhaps ``guidance``, and output
            ``filled``.
        threads: Threads within one run; by default one for each core this process may use.
        device: What computes. On another device single values are rounded differently.

    Raises:
        WeightsError: If the file cannot be loaded or has other inputs or outputs.
        ConfigError: If threads or device have an impossible value.
        ExtraMissingError: If this ONNX Runtime cannot use the device.
    """

    def __init__(self, path: Path, threads: int | None = None, device: Device = "cpu") -> None:
        if threads is not None:
            check_whole("threads", threads, 1, MOST_THREADS)
        self.threads = available_cores() if threads is None else int(threads)
        self.session = open_session(path, self.threads, device)
        names = _names(path, self.session.get_inputs)
        self.guided = names == [*INPUTS, "guidance"]
        if names != INPUTS and not self.guided:
            raise WeightsError(
                f"{path} has inputs {names}; freefill weights have image and hole, perhaps guidance"
            )
        outputs = _names(path, self.session.get_outputs)
        if "filled" not in outputs:
            raise WeightsError(f"{path} has outputs {outputs}; freefill weights have filled")
        self.path = path
        self.name = (
            f"ONNX Runtime {onnxruntime.__version__}, {device.upper()}, {self.threads} threads"
        )

    def predict(
        self,
        image: NDArray[np.float32],
        hole: NDArray[np.float32],
        guidance: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Predict whole crops; see :class:`freefill.pipeline.engines.base.Engine`.

        Raises:
            WeightsError: If the network does not take crops of this size, or fails otherwise.
            MemoryError: If there is no room for what it computes.
            StoppedRunError: If another thread ended the run.
        """
        given = {"image": image, "hole": hole}
        if self.guided:
            given["guidance"] = NO_GUIDANCE if guidance is None else guidance
        options = onnxruntime.RunOptions()
        # What it says of a run that fails is raised.
        options.log_severity_level = 4
        try:
            with stoppable(options):
                (filled,) = self.session.run(["filled"], given, options)
        except (MemoryError, StoppedRunError):
            raise
        except Exception as error:  # its own exception types share no public base
            if re.search(r"bad.?alloc|allocat\w* memory|out of memory", str(error), re.IGNORECASE):
                raise MemoryError(f"no room for what {self.path.name} computes: {error}") from None
            raise WeightsError(
                f"{self.path.name} fails on crops of {image.shape}: {error}"
            ) from None
        result: NDArray[np.float32] = filled
        return result


def _names(path: Path, give: Callable[[], list[Any]]) -> list[str]:
    """Give the names of inputs or outputs: a file may hold any bytes where those stand."""
    try:
        return [value.name for value in give()]
    except UnicodeDecodeError:
        raise WeightsError(f"{path} has inputs or outputs whose names are no text") from None


def open_session(path: Path, threads: int, device: Device = "cpu") -> onnxruntime.InferenceSession:
    """Load a network.

    Args:
        path: An ONNX file, or one in ONNX Runtime's own format.
        threads: Threads within one run.
        device: What computes.

    Returns:
        The session.

    Raises:
        WeightsError: If it cannot be loaded, or the device does not answer.
        ConfigError: If there is no such device.
        ExtraMissingError: If this ONNX Runtime cannot use the device.
    """
    check_choice("device", device, get_args(Device))
    provider, known = PROVIDERS[device], onnxruntime.get_available_providers()
    if provider not in known:
        raise ExtraMissingError(
            f"this ONNX Runtime cannot use {device}: it has {', '.join(known)}; in its place: "
            "pip uninstall onnxruntime && pip install onnxruntime-gpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning keeps idle threads at full load between operations. On a machine that does
    # anything else at the same time, that costs more than it saves: 75 ms a run against 43 at
    # 512x512 on two cores with a second session alive.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        # What a GPU has no kernel for runs on the CPU.
        providers = [provider] if device == "cpu" else [provider, PROVIDERS["cpu"]]
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:  # its own exception types share no public base
        raise WeightsError(f"{path} cannot be loaded by ONNX Runtime: {error}") from None
    if provider not in session.get_providers():
        # It only warns, and would compute on the CPU.
        raise WeightsError(
            f"ONNX Runtime found no {device} that it can use: driver, CUDA and cuDNN have to be of "
            "the versions that it was built for"
        )
    return session
