"""Networks that compute anything but colours, as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

FLOAT, SHAPE = TensorProto.FLOAT, ["b", 3, "h", "w"]


def constant(name: str, value: float | int, kind: int) -> Any:
    tensor = helper.make_tensor(name, kind, [], [value])
    return helper.make_node("Constant", [], [name], value=tensor)


def scaled(by: float, out: str = "filled") -> list[Any]:
    """Multiply the picture: by NaN it is nothing, by 1 it is itself."""
    return [constant("by", by, FLOAT), helper.make_node("Mul", ["image", "by"], [out])]


def cut() -> list[Any]:
    """Give one mean for the whole picture, which NumPy would spread over it."""
    return [helper.make_node("ReduceMean", ["image"], ["filled"], axes=[2, 3], keepdims=1)]


def whole_numbers() -> list[Any]:
    """Give bytes."""
    return [helper.make_node("Cast", ["image"], ["filled"], to=TensorProto.UINT8)]


def one_size() -> list[Any]:
    """Take pictures of 48x48 alone."""
    shape = helper.make_tensor("to", TensorProto.INT64, [4], [1, 3, 48, 48])
    to = helper.make_node("Constant", [], ["to"], value=shape)
    return [to, helper.make_node("Reshape", ["image", "to"], ["filled"])]


def endless() -> list[Any]:
    """Go round for centuries."""
    again = helper.make_node("Identity", ["go"], ["go_on"])
    same = helper.make_node("Identity", ["x"], ["x_on"])
    body = helper.make_graph(
        [again, same],
        "round",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", FLOAT, SHAPE),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x_on", FLOAT, SHAPE),
        ],
    )
    return [
        constant("rounds", 2**62, TensorProto.INT64),
        constant("begin", 1, TensorProto.BOOL),
        helper.make_node("Loop", ["rounds", "begin", "image"], ["filled"], body=body),
    ]


def write(path: Path, nodes: list[Any], out: str = "filled") -> Path:
    kind = TensorProto.UINT8 if nodes[0].op_type == "Cast" else FLOAT
    graph = helper.make_graph(
        nodes,
        "network",
        [
            helper.make_tensor_value_info("image", FLOAT, SHAPE),
            helper.make_tensor_value_info("hole", FLOAT, ["b", 1, "h", "w"]),
        ],
        [helper.make_tensor_value_info(out, kind, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


# --- networks from elsewhere ---------------------------------------------------------------------


def value(name: str, kind: int, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], **more: Any) -> Path:
    """Write any graph; ``initializers`` and ``domains`` are what else it has."""
    graph = helper.make_graph(nodes, "network", inputs, outputs, more.get("initializers", []))
    opsets = [helper.make_opsetid("", 17)]
    opsets += [helper.make_opsetid(name, 1) for name in more.get("domains", [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def lama(
    path: Path,
    colour: tuple[float, float, float] | None = (0.2, 0.4, 0.6),
    side: int | str = 512,
    scale: float = 255.0,
) -> Path:
    """Something with LaMa's signature: fills with one colour, or with what was in the hole."""
    shape = [1, 3, side, side]
    nodes = [constant("one", 1.0, FLOAT), constant("scale", scale, FLOAT)]
    nodes.append(helper.make_node("Sub", ["one", "mask"], ["keep"]))
    nodes.append(helper.make_node("Mul", ["image", "keep"], ["known"]))
    if colour is None:
        nodes.append(helper.make_node("Mul", ["image", "mask"], ["made"]))
    else:
        tensor = helper.make_tensor("c", FLOAT, [1, 3, 1, 1], colour)
        nodes.append(helper.make_node("Constant", [], ["c"], value=tensor))
        nodes.append(helper.make_node("Mul", ["c", "mask"], ["made"]))
    nodes.append(helper.make_node("Add", ["known", "made"], ["whole"]))
    nodes.append(helper.make_node("Mul", ["whole", "scale"], ["output"]))
    inputs = [value("image", FLOAT, shape), value("mask", FLOAT, [1, 1, side, side])]
    return save(path, nodes, inputs, [value("output", FLOAT, shape)])


def migan(path: Path) -> Path:
    """Something with the signature of MI-GAN's pipeline: gives back what it was given."""
    bytes_, free = TensorProto.UINT8, ["b", 3, "h", "w"]
    inputs = [value("image", bytes_, free), value("mask", bytes_, ["b", 1, "h", "w"])]
    nodes = [helper.make_node("Identity", ["image"], ["result"])]
    return save(path, nodes, inputs, [value("result", bytes_, free)])


def own(path: Path, nodes: list[Any], **more: Any) -> Path:
    """Any graph behind the inputs of freefill's own networks."""
    inputs = [value("image", FLOAT, SHAPE), value("hole", FLOAT, ["b", 1, "h", "w"])]
    return save(path, nodes, inputs, [value("filled", FLOAT, None)], **more)
