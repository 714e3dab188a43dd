"""Write a list of layers as an ONNX file of opset 17, for libraries that only predict.

The file is in the wire format of Protocol Buffers: a field is its number and type in a varint, followed by a varint,
four bytes, or a length and that many bytes (protobuf.dev/programming-guides/encoding). Field numbers are those of
`onnx.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.apps.benchmark.layer_list import LayerList, LayerStep
from opsin.base.errors import UsageError

Value: TypeAlias = "int | float | str | bytes | list[int]"
FLOAT, INT64 = 1, 7
IR_VERSION, OPSET = 8, 17

WITHOUT_ATTRIBUTES = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "add": "Add", "multiply": "Mul", "hard_swish": "HardSwish",
    "global_avg_pool2d": "GlobalAveragePool", "flatten": "Flatten",
}  # fmt: skip


def write_onnx(path: Path, network: LayerList, weights: Mapping[str, NDArray[Any]], batch: int) -> None:
    """Write the network for `batch` images. Raise `UsageError` for a layer that has no ONNX operator here."""
    nodes = [_node(step, network) for step in network.steps]
    ((logits, _),) = network.outputs
    classes = network.steps[-1].shape[-1]
    parameters = {name: weights[name] for step in network.steps for name in step.parameters.values()}
    constants = {key: array for step in network.steps for key, array in _constants(step).items()}
    graph = b"".join([
        *(_field(1, node) for node in nodes),
        _field(2, network.name),
        *(_field(5, _tensor(name, array)) for name, array in {**parameters, **constants}.items()),
        _field(11, _value_info("v0", (batch, *network.input))),
        _field(12, _value_info(f"v{logits}", (batch, classes))),
    ])  # fmt: skip
    opset = _field(1, "") + _field(2, OPSET)
    path.write_bytes(_field(1, IR_VERSION) + _field(2, "opsin") + _field(7, graph) + _field(8, opset))


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
    parts = [_field(1, name) for name in names] + [_field(2, f"v{step.output}"), _field(3, f"n{step.output}")]
    return b"".join([*parts, _field(4, op), *(_field(5, _attribute(*item)) for item in attributes.items())])


def _conv(step: LayerStep) -> bytes:
    attrs = step.attrs
    pairs = {"kernel_shape": attrs["kernel"], "strides": attrs["stride"], "dilations": attrs["dilation"]}
    lists: dict[str, Value] = {key: list(pair) for key, pair in pairs.items()}
    return _plain_node("Conv", step, {**lists, "pads": _pads(attrs), "group": attrs["groups"]}, ("weight", "bias"))


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
}


def _constants(step: LayerStep) -> dict[str, NDArray[Any]]:
    """Return the attributes that ONNX takes as operands, by name."""
    attrs = step.attrs
    operands: dict[str, Any] = {}
    if step.op == "relu6":
        operands = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    elif step.op == "scale":
        operands = {"factor": np.array(attrs["factor"], np.float32)}
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
    return {
        f"c{step.output}.{key}": np.asarray(value, getattr(value, "dtype", np.int64)) for key, value in operands.items()
    }


def _pads(attrs: Mapping[str, Any]) -> list[int]:
    """Return top, left, bottom and right padding."""
    (top, bottom), (left, right) = attrs["padding"]
    return [top, left, bottom, right]


def _attribute(name: str, value: Value) -> bytes:
    """Return an AttributeProto."""
    head = _field(1, name)
    if isinstance(value, list):
        return head + b"".join(_field(8, item) for item in value) + _field(20, 7)
    if isinstance(value, float):
        return head + _field(2, value) + _field(20, 1)
    return head + _field(3, value) + _field(20, 2)


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return a TensorProto."""
    element_type = INT64 if array.dtype == np.int64 else FLOAT
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, element_type) + _field(8, name) + _field(9, array.tobytes())


def _value_info(name: str, shape: tuple[int, ...]) -> bytes:
    """Return a ValueInfoProto of float numbers."""
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, dims)))


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    assert not isinstance(value, list)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    number %= 2**64  # negative numbers are written as their 64-bit complement
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])
