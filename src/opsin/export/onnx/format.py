"""A model as an ONNX file of opset 17, in float32 or in 8-bit integers.

In 8-bit integers, QuantizeLinear and DequantizeLinear surround the operators (QDQ), as ONNX Runtime expects it.

Its metadata describes the model: "labels" and "task" for other programs, and "opsin" for `opsin.import_onnx`, which
makes the same model of it.
"""

from __future__ import annotations

import json
from typing import Any

from opsin.base.errors import UsageError
from opsin.data.preprocessing import LIGHT_BORDER
from opsin.export.format import Files, Format
from opsin.export.precision import FLOAT32
from opsin.interop import onnx
from opsin.ir.arguments import flag, one_of
from opsin.model import Model
from opsin.model.int8 import INT8, simulated_network
from opsin.quantization.simulation import Simulation


def export(model: Model, *, precision: str = FLOAT32, preprocessing: bool = False, tta: bool | None = None) -> Files:
    """Return the ONNX file of a model in "float32" or "int8". Its batch is free.

    With `preprocessing`, the input is "images": uint8 N × H × W × C of the network's size, which the file normalizes.
    Frames of films stay N × C × H × W. Without, it is "inputs", the normalized images, float32 N × C × H × W. With
    `tta`, the outputs for an image and for its mirror image are averaged; by default, if the model does that.
    """
    mirrored = model.tta == "hflip" if tta is None else flag("tta", tta)
    if mirrored and not model.task.mirrors:
        raise UsageError(f"{model.name} does {model.task.name}, whose mirrored outputs cannot be averaged; omit tta")
    metadata = {"task": str(model.task.name), "labels": json.dumps(list(model.labels), ensure_ascii=False)}
    description: dict[str, Any] = model.description() | {"mirrored": mirrored}
    network = _network(model, precision)
    data = onnx.to_bytes(
        network.graph, network.state, name=model.network, metadata=metadata, description=description,
        byte_input=byte_input(model) if flag("preprocessing", preprocessing) else None, mirrored=mirrored,
        rounded=network.rounded,
    )  # fmt: skip
    return {"model.onnx": data}


def _network(model: Model, precision: str) -> Simulation:
    if one_of("the precision of an export", precision, [FLOAT32, INT8]) == INT8:
        return simulated_network(model)
    return Simulation(model.graph, model.state)


def byte_input(model: Model) -> onnx.ByteInput:
    """Return the preprocessing of images that already have the network's size."""
    scale, shift = model.preprocessing.scale_and_shift
    return onnx.ByteInput(scale, shift, LIGHT_BORDER if model.preprocessing.dark_background else None)


ONNX = Format("onnx", "an ONNX file", ".onnx", export)
