"""ONNX Runtime: the default engine, small and fast without torch.

On the CPU unless another device is asked for, which needs another build of ONNX Runtime.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from freefill.arguments import check_whole
from freefill.errors import WeightsError
from freefill.pipeline.engines.cpu_count import available_cores
from freefill.pipeline.engines.devices import PROVIDERS, Device, choose
from freefill.pipeline.engines.running import run_within_limit
from freefill.pipeline.engines.stopping import StoppedRunError
from freefill.types import GUIDANCE_CHANNELS
from freefill.weights.contracts import Tensor
from freefill.weights.file_kinds import check_is_network
from freefill.weights.registry import Weights

MOST_THREADS = 1024
INPUTS = ["image", "hole"]
NO_GUIDANCE = np.zeros((1, GUIDANCE_CHANNELS, 2, 2), np.float32)
"""Stands for no guidance at any size, so that none costs nothing."""
MOST_MEMORY = 8 << 30
"""Bytes that networks from elsewhere may have at a time, all of them: LaMa takes some 2 GB."""
MOST_CONSTANT = 1 << 16
"""Bytes of a constant that may be computed when such a network is loaded; larger ones wait for its
run."""
_NO_ROOM = r"bad.?alloc|allocat\w* memory|out of memory|available memory"
_TYPES = {"float": "float32", "double": "float64"}
"""ONNX Runtime's names for what NumPy calls otherwise."""


class Network:
    """A network in ONNX Runtime, on a device; falls back to the processor if that fails.

    Args:
        path: An ONNX file.
        threads: Threads within one run; by default one for each core this process may use.
        device: What computes.

    Attributes:
        name: For people: what computes, and on how many threads.
        inputs: Names, types and shapes of what it takes.
        outputs: The same of what it gives.
        notices: What a person should be told, once.

    Raises:
        WeightsError: If the file cannot be loaded.
        ConfigError: If threads or device have an impossible value.
        ExtraMissingError: If this ONNX Runtime cannot use the device.
    """

    def __init__(self, path: Path, threads: int | None = None, device: Device = "cpu") -> None:
        if threads is not None:
            check_whole("threads", threads, 1, MOST_THREADS)
        self.threads = available_cores() if threads is None else int(threads)
        self.path = path
        self.notices: list[str] = []
        self.device = choose(device)
        self._lock = threading.Lock()
        self._may_fall_back = True
        self._limited = not Weights(path.stem, path).is_bundled
        self.session = self._open()
        self.inputs = _tensors(path, self.session.get_inputs)
        self.outputs = _tensors(path, self.session.get_outputs)

    @property
    def name(self) -> str:
        """For people: what computes, and on how many threads."""
        device = self.device.upper()
        return f"ONNX Runtime {onnxruntime.__version__}, {device}, {self.threads} threads"

    def stay_on(self, device: Device) -> None:
        """Compute on one device or not at all: another rounds otherwise.

        Raises:
            WeightsError: If it is another already.
        """
        self._may_fall_back = False
        if device != self.device:
            raise WeightsError("; ".join(self.notices) or f"{self.device} computes, not {device}")

    def run(self, output: str, given: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Compute one output.

        Args:
            output: Its name.
            given: The inputs.

        Raises:
            WeightsError: If the network does not take these, fails otherwise, or does not end.
            MemoryError: If there is no room for what it computes.
            StoppedRunError: If another thread ended the run.
        """
        session = self.session
        try:
            return self._run(session, output, given)
        except (MemoryError, StoppedRunError):
            raise
        except Exception as error:  # ONNX Runtime's own exception types share no public base
            stays = self.device == "cpu" or not self._may_fall_back
            if stays or isinstance(error, WeightsError):
                raise self._translated(error, given) from None
            with self._lock:
                if self.session is session:
                    self._fall_back(f"it failed: {_line_of(error)}")
        return self.run(output, given)

    def _run(
        self, session: onnxruntime.InferenceSession, output: str, given: dict[str, NDArray[Any]]
    ) -> NDArray[Any]:
        options = onnxruntime.RunOptions()
        # What it says of a run that fails is raised.
        options.log_severity_level = 4

        def compute() -> NDArray[Any]:
            (found,) = session.run([output], given, options)
            result: NDArray[Any] = found
            return result

        return run_within_limit(compute, options, self.path.name)

    def _translated(self, error: Exception, given: dict[str, NDArray[Any]]) -> Exception:
        if isinstance(error, WeightsError):
            return error
        if re.search(_NO_ROOM, str(error), re.IGNORECASE):
            return MemoryError(f"no room for what {self.path.name} computes: {_line_of(error)}")
        shape = next(iter(given.values())).shape
        return WeightsError(f"{self.path.name} fails on crops of {shape}: {_line_of(error)}")

    def _open(self) -> onnxruntime.InferenceSession:
        if self.device != "cpu":
            try:
                return open_session(self.path, self.threads, self.device, limited=self._limited)
            except WeightsError as error:
                self._fall_back(str(error))
        return open_session(self.path, self.threads, limited=self._limited)

    def _fall_back(self, why: str) -> None:
        self.notices.append(f"the processor computes in the place of {self.device}: {why}")
        self.device = "cpu"
        self.session = open_session(self.path, self.threads, limited=self._limited)


class OnnxEngine:
    """One of freefill's own networks.

    Args:
        path: An ONNX file with inputs ``image``, ``hole`` and perhaps ``guidance``, and output
            ``filled``.
        threads: Threads within one run; by default one for each core this process may use.
        device: What computes. On another device single values are rounded differently.
        network: The file, where it has been loaded already.

    Raises:
        WeightsError: If the file cannot be loaded or has other inputs or outputs.
        ConfigError: If threads or device have an impossible value.
        ExtraMissingError: If this ONNX Runtime cannot use the device.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        device: Device = "cpu",
        network: Network | None = None,
    ) -> None:
        self.network = Network(path, threads, device) if network is None else network
        names = [i.name for i in self.network.inputs]
        self.guided = names == [*INPUTS, "guidance"]
        if not is_own(self.network):
            raise WeightsError(
                f"{path} has inputs {names}; freefill weights have image and hole, perhaps guidance"
            )
        outputs = [o.name for o in self.network.outputs]
        if "filled" not in outputs:
            raise WeightsError(f"{path} has outputs {outputs}; freefill weights have filled")
        self.path = path
        self.threads = self.network.threads
        self.notices = self.network.notices

    @property
    def name(self) -> str:
        """For people: what computes, and on how many threads."""
        return self.network.name

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
        return self.network.run("filled", given)


def _tensors(path: Path, give: Callable[[], list[Any]]) -> list[Tensor]:
    """Describe inputs or outputs: a file may hold any bytes where their names stand."""
    try:
        return [_tensor(value) for value in give()]
    except UnicodeDecodeError:
        raise WeightsError(f"{path} has inputs or outputs whose names are no text") from None


def is_own(network: Network) -> bool:
    """Tell whether a network has the inputs of freefill's own."""
    names = [one.name for one in network.inputs]
    return names in (INPUTS, [*INPUTS, "guidance"])


def open_session(
    path: Path, threads: int, device: Device = "cpu", *, limited: bool = False
) -> onnxruntime.InferenceSession:
    """Load a network.

    Args:
        path: An ONNX file, or one in ONNX Runtime's own format.
        threads: Threads within one run.
        device: What computes.
        limited: Whether its memory is :data:`MOST_MEMORY` at most, together with that of others.

    Returns:
        The session.

    Raises:
        WeightsError: If it cannot be loaded, or the device does not answer.
        ConfigError: If there is no such device.
        ExtraMissingError: If this ONNX Runtime cannot use the device.
    """
    device = choose(device)
    provider = PROVIDERS[device]
    check_is_network(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning keeps idle threads at full load between operations. On a machine that does
    # anything else at the same time, that costs more than it saves: 75 ms a run against 43 at
    # 512x512 on two cores with a second session alive.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if limited:
        _limit_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # What is constant would be computed while the file is loaded, outside of that pool.
        options.add_session_config_entry(
            "optimization.constant_folding_max_output_size_in_bytes", str(MOST_CONSTANT)
        )
    try:
        # What a GPU has no kernel for runs on the CPU.
        providers = [provider] if device == "cpu" else [provider, PROVIDERS["cpu"]]
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:  # its own exception types share no public base
        if re.search(_NO_ROOM, str(error), re.IGNORECASE):
            raise MemoryError(f"no room for the weights of {path.name}") from None
        raise WeightsError(f"{path} cannot be loaded by ONNX Runtime: {_line_of(error)}") from None
    if provider not in session.get_providers():
        # It only warns, and would compute on the CPU.
        raise WeightsError(
            f"ONNX Runtime found no {device} that it can use: its drivers and libraries have to be "
            "of the versions that it was built for"
        )
    return session


_limits = threading.Lock()
_is_limited = False


def _limit_memory() -> None:
    """Make the one pool of memory that networks from elsewhere share, the first time."""
    global _is_limited
    with _limits:
        if _is_limited:
            return
        info = onnxruntime.OrtMemoryInfo(
            "Cpu",
            onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
            0,
            onnxruntime.OrtMemType.DEFAULT,
        )
        # It grows by what is asked for, and not by doubling.
        settings = onnxruntime.OrtArenaCfg({"max_mem": MOST_MEMORY, "arena_extend_strategy": 1})
        onnxruntime.create_and_register_allocator(info, settings)
        _is_limited = True


def _tensor(node: Any) -> Tensor:
    kind = re.sub(r"^tensor\((.*)\)$", r"\1", node.type)
    shape = tuple(side if isinstance(side, int) else None for side in node.shape)
    return Tensor(node.name, _TYPES.get(kind, kind), shape)


def _line_of(error: Exception) -> str:
    """Give what ONNX Runtime says as one line without its addresses: graphs can be long."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    return text if len(text) <= 300 else f"{text[:300]} ..."
