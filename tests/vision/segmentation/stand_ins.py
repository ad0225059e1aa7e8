"""Networks of the shape of those that segmenters use, whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
REACHES = (60, 120, 240)
"""Of SAM's diamonds around its points, in pixels of 1024."""


def save(nodes: list, inputs: dict, outputs: dict, constants: dict, path: Path) -> None:
    graph = helper.make_graph(
        nodes,
        "stand_in",
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(v, t), n) for n, (v, t) in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if path.suffix != ".ort":
        onnx.save(model, path)
        return
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def u2netp(folder: Path) -> None:
    """What is red is an object."""
    nodes = [
        helper.make_node("Conv", ["input.1", "weight"], ["redness"]),
        helper.make_node("Sigmoid", ["redness"], ["1959"]),
        helper.make_node("Identity", ["1959"], ["1960"]),
    ]
    weight = np.reshape([4.0, -4.0, -4.0], (1, 3, 1, 1))
    shape = [1, 1, 320, 320]
    save(
        nodes,
        {"input.1": [1, 3, 320, 320]},
        {"1959": shape, "1960": shape},
        {"weight": (weight, np.float32)},
        folder / "u2netp.onnx",
    )


def sam2(folder: Path, scores: tuple[float, float, float]) -> None:
    """Three diamonds around the mean of the points, the sizes of REACHES."""
    pooled = [1, 3, 256, 256]
    names = ("high_res_feats_0", "high_res_feats_1", "image_embed")
    nodes = [
        helper.make_node("AveragePool", ["image"], [name], kernel_shape=[4, 4], strides=[4, 4])
        for name in names
    ]
    save(nodes, {"image": [1, 3, 1024, 1024]}, dict.fromkeys(names, pooled), {},
         folder / "sam2_encoder.ort")  # fmt: skip
    rows, columns = np.mgrid[0:256, 0:256] * 4.0 + 2
    nodes = [
        helper.make_node("ReduceMean", ["point_coords"], ["middle"], axes=[0, 1], keepdims=0),
        helper.make_node("Reshape", ["middle", "shape"], ["place"]),
        helper.make_node("Sub", ["grid", "place"], ["away"]),
        helper.make_node("Abs", ["away"], ["far"]),
        helper.make_node("ReduceSum", ["far", "axes"], ["apart"], keepdims=0),
        helper.make_node("Sub", ["reaches", "apart"], ["left"]),
        helper.make_node("Unsqueeze", ["left", "axis"], ["masks"]),
        helper.make_node("Identity", ["scores"], ["iou_predictions"]),
    ]
    given = {name: pooled for name in names}
    given |= {
        "point_coords": [1, "n", 2],
        "point_labels": [1, "n"],
        "mask_input": [1, 1, 256, 256],
        "has_mask_input": [1],
    }
    save(
        nodes,
        given,
        {"masks": [1, 3, 256, 256], "iou_predictions": [1, 3]},
        {
            "shape": ([2, 1, 1], np.int64),
            "grid": (np.stack([columns, rows]), np.float32),
            "axes": ([0], np.int64),
            "axis": ([0], np.int64),
            "reaches": (np.reshape(REACHES, (3, 1, 1)), np.float32),
            "scores": (np.reshape(scores, (1, 3)), np.float32),
        },
        folder / "sam2_decoder.onnx",
    )
