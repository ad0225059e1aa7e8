"""From a trained generator to the files that the runtime reads.

The ONNX file stores its weights as fp16 and computes in float32: each stored tensor is followed by
a cast, which ONNX Runtime folds away when it loads the file. What else it would fold away is folded
before the file is written, so that loading takes two thirds of the time. Height, width and batch
are free. Nothing is written until the file has been compared with torch at three sizes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from freefill.errors import CheckpointError, WeightsError
from freefill.lab.export.pickles import check_size
from freefill.types import GUIDANCE_CHANNELS

OPSET = 18
SIZES = ((1, 64, 64), (2, 96, 160), (1, 256, 240))
"""Batch, height and width that are compared."""
TOLERANCE = 1e-3
"""Largest allowed difference in [-1, 1]; a grey level is 8e-3."""
SMALL = 16
"""Weights with fewer elements keep float32: their share of the file is nothing."""


def to_onnx(network: nn.Module, *, half: bool = True, guided: bool = False) -> onnx.ModelProto:
    """Translate a generator.

    Args:
        network: Takes ``image`` ``(B, 3, H, W)`` and ``hole`` ``(B, 1, H, W)``.
        half: Whether weights are stored as fp16; otherwise they stay as they are.
        guided: Whether it was trained to follow guidance, ``(B, 5, H, W)``.

    Returns:
        The model, with inputs ``image``, ``hole`` and, where it is ``guided``, ``guidance``, for
        which 2x2 zeros stand for none; and output ``filled``.
    """
    network = network.eval()
    example = [torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64)]
    names = ["image", "hole"]
    free = {0: "batch", 2: "height", 3: "width"}
    axes = {name: free for name in (*names, "filled")}
    if guided:
        example.append(torch.zeros(1, GUIDANCE_CHANNELS, 64, 64))
        names.append("guidance")
        # Other names than the image's: none is of another size.
        axes["guidance"] = {0: "guided", 2: "guided_height", 3: "guided_width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            network,
            tuple(example),
            cast(Any, buffer),  # a file object is taken; the annotation says paths only
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["filled"],
            dynamic_axes=axes,
            do_constant_folding=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    _simplify(model)
    if half:
        _store_half(model)
    onnx.checker.check_model(model)
    return model


def check_parity(network: nn.Module, content: bytes, *, guided: bool = False) -> float:
    """Compare an ONNX file with the torch network whose weights were rounded to fp16.

    Args:
        network: The generator, its parameters already rounded.
        content: The file.
        guided: Whether it takes guidance; it is compared with and without any then.

    Returns:
        The largest absolute difference over :data:`SIZES`, in [-1, 1].

    Raises:
        WeightsError: If it is over :data:`TOLERANCE`.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch, height, width in SIZES:
        image = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
        # Scattered pixels, and a block that leaves whole patches known around it to copy from.
        hole = (torch.rand(batch, 1, height, width, generator=generator) < 0.01).float()
        hole[..., height // 4 : height // 2, width // 4 : width // 2] = 1
        hole[..., height * 5 // 8 :, :] = 0
        given = {"image": image.numpy(), "hole": hole.numpy()}
        pairs: list[tuple[tuple[Tensor, ...], Tensor | None]] = [((), None)]
        if guided:
            drawn = torch.rand(batch, GUIDANCE_CHANNELS, height, width, generator=generator) * hole
            pairs = [((), torch.zeros(1, GUIDANCE_CHANNELS, 2, 2)), ((drawn,), drawn)]
        for more, planes in pairs:
            with torch.no_grad():
                expected = network(image, hole, *more).numpy()
            fed = given if planes is None else {**given, "guidance": planes.numpy()}
            (found,) = session.run(["filled"], fed)
            difference = float(np.abs(found - expected).max())
            if not difference <= TOLERANCE:
                raise WeightsError(
                    f"ONNX Runtime and torch differ by {difference:.2g} at "
                    f"{batch}x{height}x{width}, more than {TOLERANCE:g}: nothing was exported"
                )
            worst = max(worst, difference)
    return worst


@torch.no_grad()
def round_to_half(network: nn.Module) -> None:
    """Round all parameters to what fp16 can hold, in place."""
    for parameter in network.parameters():
        parameter.copy_(parameter.half().float())


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of an exported ONNX file.

    Args:
        path: A file that :func:`to_onnx` made.

    Returns:
        Parameter name to float32 tensor. The guidance branch is not in it: an unguided file has
        none.

    Raises:
        CheckpointError: If the file cannot be read.
        WeightsError: If it does not exist or is larger than any of freefill's.
    """
    return {
        name: to_tensor(path, stored)
        for name, stored in stored_in(read_model(path)).items()
        if stored.data_type in FLOATS
    }


def read_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file as it is stored: nothing in it is converted.

    Args:
        path: The file.

    Returns:
        The model.

    Raises:
        CheckpointError: If the file cannot be read.
        WeightsError: If it does not exist or is larger than any of freefill's.
    """
    check_size(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own exception type is not public
        raise CheckpointError(f"{path} cannot be read as ONNX: {error}") from None
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise CheckpointError(f"{path} has its weights in another file; freefill's are in one")
    return model


def stored_in(model: onnx.ModelProto) -> dict[str, TensorProto]:
    """Give a model's named tensors: parameter name to what is stored; ``dims`` is its shape."""
    named = ((tensor.name.removesuffix(HALF), tensor) for tensor in model.graph.initializer)
    return {name: tensor for name, tensor in named if is_weight(name)}


def is_weight(name: str) -> bool:
    """Tell whether a tensor's name is a parameter's: others begin with a slash.

    Examples:
        >>> is_weight("stem.conv.weight"), is_weight("/stem/Constant")
        (True, False)
    """
    return re.fullmatch(r"[A-Za-z_][\w.]*", name) is not None


def model_metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Give what a model says of itself, key to text."""
    return {prop.key: prop.value for prop in model.metadata_props}


def to_tensor(path: Path, stored: TensorProto) -> Tensor:
    """Convert one tensor, after what is said of it was compared with what is there.

    Args:
        path: The file, for the message.
        stored: What :func:`stored_in` found.

    Returns:
        Its values, float32.

    Raises:
        CheckpointError: If they are no floats, or not as many as its shape has.
    """
    name, shape = stored.name[:80], "x".join(map(str, stored.dims[:8])) or "one number"
    if stored.data_type not in FLOATS:
        known = dict(zip(TensorProto.DataType.values(), TensorProto.DataType.keys(), strict=True))
        kind = known.get(stored.data_type, f"number {stored.data_type}")
        raise CheckpointError(f"{path}: {name} is of the type {kind}, not numbers of a network")
    count, found = math.prod(stored.dims), _stored_numbers(stored)
    if count != found or any(side < 0 for side in stored.dims):
        raise CheckpointError(f"{path}: {name} is {shape}, {count:,} numbers, and has {found:,}")
    try:
        return torch.from_numpy(numpy_helper.to_array(stored).astype(np.float32))
    except Exception as error:  # onnx raises what numpy and its own conversions do
        raise CheckpointError(f"{path}: {name} cannot be read: {error}") from None


HALF = "/fp16"
FLOATS = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
    TensorProto.DOUBLE: 8,
}
"""Types that a network's weights have, and the bytes of one number."""


def _stored_numbers(stored: TensorProto) -> int:
    if stored.HasField("raw_data"):
        return len(stored.raw_data) // FLOATS[stored.data_type]
    # The halves lie in the whole numbers, two bytes in each.
    return len(stored.float_data) or len(stored.double_data) or len(stored.int32_data)


def _simplify(model: onnx.ModelProto) -> None:
    """Fold what is constant, and let what is computed twice be computed once, in place.

    The weights are inputs meanwhile: they are not folded into others, and keep their names.
    """
    graph = model.graph
    weights = list(graph.initializer)
    inputs = list(graph.input)
    del graph.initializer[:]
    graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in weights
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/simple.onnx"
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        simple = onnx.load(options.optimized_model_filepath).graph
    # Nothing but a weight may be named like one.
    names = {tensor.name: f"/{tensor.name}" for tensor in simple.initializer}
    for tensor in simple.initializer:
        tensor.name = names[tensor.name]
    for node in simple.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    simple.initializer.extend(weights)
    del simple.input[:]
    simple.input.extend(inputs)
    graph.CopyFrom(simple)


def _store_half(model: onnx.ModelProto) -> None:
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        if not is_weight(tensor.name):
            continue
        name = tensor.name
        values = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, name + HALF))
        casts.append(
            helper.make_node("Cast", [name + HALF], [name], f"{name}/cast", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
