"""What computes: the processor, or what ONNX Runtime has a provider for on this machine."""

from __future__ import annotations

from typing import Literal, get_args

import onnxruntime

from freefill.arguments import check_choice
from freefill.errors import ExtraMissingError

Device = Literal["cpu", "cuda", "coreml", "directml", "openvino", "auto"]
PROVIDERS: dict[Device, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
AUTO: tuple[Device, ...] = ("cuda", "coreml", "directml", "openvino", "cpu")
"""In this order ``auto`` takes the first that there is."""
_INSTEAD = "in its place: pip uninstall onnxruntime && pip install {}"
_HELP: dict[Device, str] = {
    "cuda": _INSTEAD.format("onnxruntime-gpu"),
    "coreml": "it is part of onnxruntime on macOS alone: pip install -U onnxruntime",
    "directml": "on Windows, " + _INSTEAD.format("onnxruntime-directml"),
    "openvino": _INSTEAD.format("onnxruntime-openvino"),
}


def choose(device: Device) -> Device:
    """Decide on the device, before anything is loaded.

    Args:
        device: What was asked for.

    Returns:
        The same; for ``"auto"`` the first of :data:`AUTO` that this ONNX Runtime has a provider
        for, which is at least ``"cpu"``.

    Raises:
        ConfigError: If there is no such device.
        ExtraMissingError: If this ONNX Runtime cannot use it; the message has the line for pip.

    Examples:
        >>> choose("cpu")
        'cpu'
    """
    check_choice("device", device, get_args(Device))
    there = onnxruntime.get_available_providers()
    if device == "auto":
        return next(one for one in AUTO if PROVIDERS[one] in there)
    if PROVIDERS[device] not in there:
        raise ExtraMissingError(
            f"this ONNX Runtime cannot use {device}: it has {', '.join(there)}; {_HELP[device]}"
        )
    return device
