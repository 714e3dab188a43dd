"""A model as an ONNX file of opset 17, in float32 or in 8-bit integers.

In 8-bit integers, QuantizeLinear and DequantizeLinear surround the operators (QDQ), as ONNX Runtime expects it.

Its metadata describes the model: "task", "labels", "input" (size, framing, normalization) and "decoding" (thresholds,
default boxes, units) for other programs, and "opsin" for `opsin.import_onnx`, which makes the same model of it.
"""

from __future__ import annotations

import json
from typing import Any

from opsin.base.errors import UsageError
from opsin.data.decode import Portable
from opsin.data.preprocessing import LIGHT_BORDER
from opsin.export.format import Files, Format
from opsin.export.onnx.resizing import write_resizing
from opsin.export.precision import FLOAT32
from opsin.export.runtime.parts import input_description
from opsin.export.runtime.tasks import task_description
from opsin.interop import onnx
from opsin.ir.arguments import flag, one_of
from opsin.model import Model
from opsin.model.int8 import INT8, simulated_network
from opsin.quantization.simulation import Simulation


def export(
    model: Model,
    *,
    precision: str = FLOAT32,
    preprocessing: bool = False,
    resize: bool = False,
    tta: bool | None = None,
) -> Files:
    """Return the ONNX file of a model in "float32" or "int8". Its batch is free.

    With `preprocessing`, the input is "images": uint8 N × H × W × C of the network's size, which the file normalizes.
    Frames of films stay N × C × H × W. With `resize`, images may have any size, and the file resizes them as well.
    Without both, the input is "inputs", the normalized images, float32 N × C × H × W. With `tta`, the outputs for an
    image and for its mirror image are averaged; by default, if the model does that. Vectors keep length 1.
    """
    mirrored = model.tta == "hflip" if tta is None else flag("tta", tta)
    if mirrored and not model.task.mirrors:
        raise UsageError(f"{model.name} does {model.task.name}, whose mirrored outputs cannot be averaged; omit tta")
    metadata = {"task": str(model.task.name)} | {
        name: json.dumps(data, ensure_ascii=False)
        for name, data in (
            ("labels", list(model.labels)), ("input", input_description(model)), ("decoding", task_description(model)),
        )
    }  # fmt: skip
    description: dict[str, Any] = model.description() | {"mirrored": mirrored}
    network, prepares = _network(model, precision), flag("preprocessing", preprocessing) or flag("resize", resize)
    data = onnx.to_bytes(
        network.graph, network.state, name=model.network, metadata=metadata, description=description,
        byte_input=byte_input(model, resize) if prepares else None, mirrored=mirrored,
        unit_length=model.task.name == "identity", rounded=network.rounded,
    )  # fmt: skip
    return {"model.onnx": data}


def _network(model: Model, precision: str) -> Simulation:
    if one_of("the precision of an export", precision, [FLOAT32, INT8]) == INT8:
        return simulated_network(model)
    return Simulation(model.graph, model.state)


def byte_input(model: Model, resize: bool) -> onnx.ByteInput:
    """Return the preprocessing of images that already have the network's size, or with `resize` of any size."""
    preparation = model.preprocessing
    scale, shift = preparation.scale_and_shift
    framing, border = Portable.of(preparation.crop).framing, LIGHT_BORDER if preparation.dark_background else None

    def write(w: onnx.NodeWriter, images: str) -> str:
        return write_resizing(w, images, framing, *preparation.size)

    return onnx.ByteInput(scale, shift, border, write if resize else None)


ONNX = Format("onnx", "an ONNX file", ".onnx", export)
