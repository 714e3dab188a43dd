"""Write a list of layers as an ONNX file of opset 17, for libraries that only predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.benchmark.layer_list import LayerList
from opsin.apps.benchmark.lifting import LayerStep
from opsin.apps.benchmark.onnx_encoding import Value, attribute, field, tensor, value_info
from opsin.base.errors import UsageError

IR_VERSION, OPSET = 8, 17

WITHOUT_ATTRIBUTES = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "add": "Add", "multiply": "Mul", "hard_swish": "HardSwish",
    "global_avg_pool2d": "GlobalAveragePool", "flatten": "Flatten", "exp": "Exp",
}  # fmt: skip


def write_onnx(path: Path, network: LayerList, weights: Mapping[str, NDArray[Any]], batch: int) -> None:
    """Write the network for `batch` images. Raise `UsageError` for a layer that has no ONNX operator here."""
    nodes = [_node(step, network) for step in network.steps]
    outputs = zip((number for number, _ in network.outputs), network.shapes, strict=True)
    parameters = {name: weights[name] for step in network.steps for name in step.parameters.values()}
    scales = [step.parameters["weight"] for step in network.steps if step.op == "channel_scale"]
    parameters |= {name: weights[name].reshape(-1, 1, 1) for name in scales}
    constants = {key: array for step in network.steps for key, array in _constants(step).items()}
    constants |= {_sizes(step): np.array([batch, *step.shape]) for step in network.steps if step.op == "resize"}
    graph = b"".join([
        *(field(1, node) for node in nodes),
        field(2, network.name),
        *(field(5, tensor(name, array)) for name, array in {**parameters, **constants}.items()),
        field(11, value_info("v0", (batch, *network.input))),
        *(field(12, value_info(f"v{number}", (batch, *shape))) for number, shape in outputs),
    ])  # fmt: skip
    opset = field(1, "") + field(2, OPSET)
    path.write_bytes(field(1, IR_VERSION) + field(2, "opsin") + field(7, graph) + field(8, opset))


def _node(step: LayerStep, network: LayerList) -> bytes:
    """Return a NodeProto."""
    if step.op in WITHOUT_ATTRIBUTES:
        return _plain_node(WITHOUT_ATTRIBUTES[step.op], step, {})
    if step.op not in OPERATORS:
        raise UsageError(f"layer {step.name} of {network.name} is a {step.op}, which is not written to ONNX files")
    return OPERATORS[step.op](step)


def _plain_node(op: str, step: LayerStep, attributes: Mapping[str, Value], roles: tuple[str, ...] = ()) -> bytes:
    names = [f"v{number}" for number in step.inputs]
    names += [step.parameters[role] for role in roles if role in step.parameters] + list(_constants(step))
    return _named_node(op, step, names, attributes)


def _named_node(op: str, step: LayerStep, names: Sequence[str], attributes: Mapping[str, Value]) -> bytes:
    """Return a NodeProto with the inputs `names`; an empty one is an optional input that is left out."""
    parts = [field(1, name) for name in names] + [field(2, f"v{step.output}"), field(3, f"n{step.output}")]
    return b"".join([*parts, field(4, op), *(field(5, attribute(*item)) for item in attributes.items())])


def _conv(step: LayerStep) -> bytes:
    attrs = step.attrs
    pairs = {"kernel_shape": attrs["kernel"], "strides": attrs["stride"], "dilations": attrs["dilation"]}
    lists: dict[str, Value] = {key: list(pair) for key, pair in pairs.items()}
    return _plain_node("Conv", step, {**lists, "pads": _pads(attrs), "group": attrs["groups"]}, ("weight", "bias"))


def _conv_transpose(step: LayerStep) -> bytes:
    attrs = step.attrs
    pairs = {"kernel_shape": attrs["kernel"], "strides": attrs["stride"], "dilations": attrs["dilation"]}
    lists: dict[str, Value] = {key: list(pair) for key, pair in pairs.items()}
    lists |= {"output_padding": list(attrs["output_padding"]), "pads": _pads(attrs), "group": attrs["groups"]}
    return _plain_node("ConvTranspose", step, lists, ("weight", "bias"))


def _resize(step: LayerStep) -> bytes:
    attributes = RESIZE_MODES[step.attrs["mode"]]
    return _named_node("Resize", step, [f"v{step.inputs[0]}", "", "", _sizes(step)], attributes)


def _sizes(step: LayerStep) -> str:
    """Return the name of the constant with the sizes of the output, including the batch."""
    return f"c{step.output}.sizes"


def _pool(op: str) -> Callable[[LayerStep], bytes]:
    def write(step: LayerStep) -> bytes:
        attrs = step.attrs
        attributes: dict[str, Value] = {
            "kernel_shape": list(attrs["window"]), "strides": list(attrs["stride"]), "pads": _pads(attrs),
            "ceil_mode": int(attrs["ceil_mode"]),
        }  # fmt: skip
        if "count_include_pad" in attrs:
            attributes["count_include_pad"] = int(attrs["count_include_pad"])
        return _plain_node(op, step, attributes)

    return write


def _batch_norm(step: LayerStep) -> bytes:
    roles = ("weight", "bias", "running_mean", "running_var")
    return _plain_node("BatchNormalization", step, {"epsilon": float(step.attrs["eps"])}, roles)


def _local_response_norm(step: LayerStep) -> bytes:
    attrs = step.attrs
    attributes: dict[str, Value] = {"size": attrs["size"], "alpha": attrs["alpha"], "beta": attrs["beta"]}
    return _plain_node("LRN", step, {**attributes, "bias": float(attrs["k"])})


RESIZE_MODES: dict[str, dict[str, Value]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "bilinear_corners": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
}

OPERATORS: dict[str, Callable[[LayerStep], bytes]] = {
    "conv2d": _conv,
    "linear": lambda step: _plain_node("Gemm", step, {"transB": 1}, ("weight", "bias")),
    "batch_norm": _batch_norm,
    "local_response_norm": _local_response_norm,
    "max_pool2d": _pool("MaxPool"),
    "avg_pool2d": _pool("AveragePool"),
    "concat": lambda step: _plain_node("Concat", step, {"axis": step.attrs["axis"]}),
    "relu6": lambda step: _plain_node("Clip", step, {}),
    "scale": lambda step: _plain_node("Mul", step, {}),
    "slice": lambda step: _plain_node("Slice", step, {}),
    "pad": lambda step: _plain_node("Pad", step, {}),
    "conv_transpose2d": _conv_transpose,
    "resize": _resize,
    "hard_sigmoid": lambda step: _plain_node("HardSigmoid", step, {"alpha": 1 / 6, "beta": 0.5}),
    "normalize": lambda step: _plain_node("LpNormalization", step, {"axis": 1, "p": 2}),
    "layer_norm": lambda step: _plain_node("LayerNormalization", step, {"axis": 1, "epsilon": step.attrs["eps"]}),
    "permute": lambda step: _plain_node("Transpose", step, {"perm": list(step.attrs["axes"])}),
    "reshape": lambda step: _plain_node("Reshape", step, {}),
    "clamp_max": lambda step: _plain_node("Min", step, {}),
    "channel_scale": lambda step: _plain_node("Mul", step, {}, ("weight",)),
}


def _constants(step: LayerStep) -> dict[str, NDArray[Any]]:
    """Return the attributes that ONNX takes as operands, by name."""
    attrs = step.attrs
    operands: dict[str, Any] = {}
    if step.op == "relu6":
        operands = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    elif step.op == "scale":
        operands = {"factor": np.array(attrs["factor"], np.float32)}
    elif step.op == "layer_norm":
        operands = {"scale": np.ones(step.shape, np.float32)}
    elif step.op == "slice":  # not the axis of the batch
        axes = range(1, len(attrs["starts"]))
        operands = {
            "starts": attrs["starts"][1:],
            "stops": attrs["stops"][1:],
            "axes": axes,
            "steps": attrs["steps"][1:],
        }
    elif step.op == "pad":
        operands = {"pads": [*attrs["low"], *attrs["high"]]}
    elif step.op == "reshape":
        operands = {"shape": [0, *step.shape]}  # the batch is copied
    elif step.op == "clamp_max":
        operands = {"limit": np.array(attrs["limit"], np.float32)}
    return {
        f"c{step.output}.{key}": np.asarray(value, getattr(value, "dtype", np.int64)) for key, value in operands.items()
    }


def _pads(attrs: Mapping[str, Any]) -> list[int]:
    """Return top, left, bottom and right padding."""
    (top, bottom), (left, right) = attrs["padding"]
    return [top, left, bottom, right]
