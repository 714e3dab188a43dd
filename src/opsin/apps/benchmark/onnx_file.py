"""Writes a list of layers as an ONNX file, for libraries that only predict: operators of opset 17, weights as they are.

Protocol Buffers' wire format is written here: a field is its number and kind in a varint, then a varint, four bytes, or
a length and so many bytes (protobuf.dev/programming-guides/encoding). Field numbers are those of `onnx.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.apps.benchmark.layer_list import LayerList, Step
from opsin.base.errors import UsageError

Value: TypeAlias = "int | float | str | bytes | list[int]"
FLOAT_KIND, INT_KIND = 1, 7
IR_VERSION, OPSET = 8, 17

SIMPLE = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "add": "Add", "multiply": "Mul", "hard_swish": "HardSwish",
    "global_avg_pool2d": "GlobalAveragePool", "flatten": "Flatten",
}  # fmt: skip


def write_onnx(path: Path, network: LayerList, weights: Mapping[str, NDArray[Any]], batch: int) -> None:
    """The network for `batch` images, from "inputs" to "logits". `UsageError` for a layer that ONNX has not."""
    nodes = [_node(step, network) for step in network.steps]
    ((logits, _),) = network.outputs
    classes = network.steps[-1].shape[-1]
    used = {name: weights[name] for step in network.steps for name in step.parameters.values()}
    constants = {key: array for step in network.steps for key, array in _constants(step).items()}
    graph = b"".join([
        *(_field(1, node) for node in nodes),
        _field(2, network.name),
        *(_field(5, _tensor(name, array)) for name, array in {**used, **constants}.items()),
        _field(11, _value_info("v0", (batch, *network.input))),
        _field(12, _value_info(f"v{logits}", (batch, classes))),
    ])  # fmt: skip
    opset = _field(1, "") + _field(2, OPSET)
    path.write_bytes(_field(1, IR_VERSION) + _field(2, "opsin") + _field(7, graph) + _field(8, opset))


def _node(step: Step, network: LayerList) -> bytes:
    """NodeProto."""
    if step.op in SIMPLE:
        return _plain_node(SIMPLE[step.op], step, {})
    if step.op not in OPERATORS:
        raise UsageError(f"layer {step.name} of {network.name} is a {step.op}, which is not written to ONNX files")
    return OPERATORS[step.op](step)


def _plain_node(op: str, step: Step, attributes: Mapping[str, Value], roles: tuple[str, ...] = ()) -> bytes:
    names = [f"v{number}" for number in step.inputs]
    names += [step.parameters[role] for role in roles if role in step.parameters] + list(_constants(step))
    parts = [_field(1, name) for name in names] + [_field(2, f"v{step.output}"), _field(3, f"n{step.output}")]
    return b"".join([*parts, _field(4, op), *(_field(5, _attribute(*item)) for item in attributes.items())])


def _conv(step: Step) -> bytes:
    attrs = step.attrs
    moves = {"kernel_shape": attrs["kernel"], "strides": attrs["stride"], "dilations": attrs["dilation"]}
    listed: dict[str, Value] = {key: list(pair) for key, pair in moves.items()}
    return _plain_node("Conv", step, {**listed, "pads": _pads(attrs), "group": attrs["groups"]}, ("weight", "bias"))


def _pool(op: str) -> Callable[[Step], bytes]:
    def write(step: Step) -> bytes:
        attrs = step.attrs
        made: dict[str, Value] = {
            "kernel_shape": list(attrs["window"]), "strides": list(attrs["stride"]), "pads": _pads(attrs),
            "ceil_mode": int(attrs["ceil_mode"]),
        }  # fmt: skip
        if "count_include_pad" in attrs:
            made["count_include_pad"] = int(attrs["count_include_pad"])
        return _plain_node(op, step, made)

    return write


def _batch_norm(step: Step) -> bytes:
    roles = ("weight", "bias", "running_mean", "running_var")
    return _plain_node("BatchNormalization", step, {"epsilon": float(step.attrs["eps"])}, roles)


def _local_response_norm(step: Step) -> bytes:
    attrs = step.attrs
    made: dict[str, Value] = {"size": attrs["size"], "alpha": attrs["alpha"], "beta": attrs["beta"]}
    return _plain_node("LRN", step, {**made, "bias": float(attrs["k"])})


OPERATORS: dict[str, Callable[[Step], bytes]] = {
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


def _constants(step: Step) -> dict[str, NDArray[Any]]:
    """What ONNX takes as further operands, by name."""
    attrs = step.attrs
    made: dict[str, Any] = {}
    if step.op == "relu6":
        made = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    elif step.op == "scale":
        made = {"factor": np.array(attrs["factor"], np.float32)}
    elif step.op == "slice":  # the batch's axis stays whole
        axes = range(1, len(attrs["starts"]))
        made = {"starts": attrs["starts"][1:], "stops": attrs["stops"][1:], "axes": axes, "steps": attrs["steps"][1:]}
    elif step.op == "pad":
        made = {"pads": [*attrs["low"], *attrs["high"]]}
    return {
        f"c{step.output}.{key}": np.asarray(value, getattr(value, "dtype", np.int64)) for key, value in made.items()
    }


def _pads(attrs: Mapping[str, Any]) -> list[int]:
    """Top, left, bottom, right."""
    (top, bottom), (left, right) = attrs["padding"]
    return [top, left, bottom, right]


def _attribute(name: str, value: Value) -> bytes:
    """AttributeProto."""
    head = _field(1, name)
    if isinstance(value, list):
        return head + b"".join(_field(8, item) for item in value) + _field(20, 7)
    if isinstance(value, float):
        return head + _field(2, value) + _field(20, 1)
    return head + _field(3, value) + _field(20, 2)


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    """TensorProto."""
    kind = INT_KIND if array.dtype == np.int64 else FLOAT_KIND
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())


def _value_info(name: str, shape: tuple[int, ...]) -> bytes:
    """ValueInfoProto of real numbers."""
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT_KIND) + _field(2, dims)))


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
