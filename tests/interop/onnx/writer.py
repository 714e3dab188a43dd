"""Writer of ONNX files for tests, without other packages: it encodes the Protocol Buffers wire format."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}

Dims = Sequence["int | str | None"]


def varint(number: int) -> bytes:
    number %= 2**64
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def entry(number: int, value: int | float | str | bytes) -> bytes:
    """Encode one field: an integer, a float, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(array: Any, name: str = "") -> bytes:
    """Encode a TensorProto with `raw_data`."""
    array = np.asarray(array)
    dims = b"".join(entry(1, size) for size in array.shape)
    return dims + entry(2, ELEMENT_TYPES[array.dtype.name]) + entry(8, name) + entry(9, array.tobytes())


def external(name: str, shape: Sequence[int], location: str, **entries: object) -> bytes:
    """Encode a TensorProto of float32 with its data in the file `location`."""
    values = {"location": location, **entries}
    pairs = b"".join(entry(13, entry(1, key) + entry(2, str(value))) for key, value in values.items())
    return b"".join(entry(1, size) for size in shape) + entry(2, 1) + entry(8, name) + pairs + entry(14, 1)


def attribute(name: str, value: Any) -> bytes:
    """Encode an AttributeProto; its type is that of `value`."""
    head = entry(1, name)
    if isinstance(value, np.ndarray):
        return head + entry(5, tensor(value)) + entry(20, 4)
    if isinstance(value, str):
        return head + entry(4, value) + entry(20, 3)
    if isinstance(value, int):
        return head + entry(3, value) + entry(20, 2)
    if isinstance(value, float):
        return head + entry(2, value) + entry(20, 1)
    if value and isinstance(value[0], float):
        return head + b"".join(entry(7, item) for item in value) + entry(20, 6)
    return head + b"".join(entry(8, item) for item in value) + entry(20, 7)


def value_info(name: str, dims: Dims | None, elem_type: int = 1) -> bytes:
    """Encode a ValueInfoProto; a free dimension is a name or None."""
    shape = b""
    if dims is not None:
        parts = [b"" if d is None else entry(2, d) if isinstance(d, str) else entry(1, d) for d in dims]
        shape = entry(2, b"".join(entry(1, part) for part in parts))
    return entry(1, name) + entry(2, entry(1, entry(1, elem_type) + shape))


def node(op: str, inputs: str, outputs: str, name: str = "", domain: str = "", **attributes: Any) -> bytes:
    """Encode a NodeProto. Names are separated by spaces; `-` is an omitted operand."""
    parts = [entry(1, "" if item == "-" else item) for item in inputs.split()]
    parts += [entry(2, item) for item in outputs.split()]
    parts += [entry(3, name), entry(4, op), *(entry(5, attribute(*pair)) for pair in attributes.items())]
    return b"".join(parts) + (entry(7, domain) if domain else b"")


@dataclass
class File:
    """The content of an ONNX file: nodes, weights by name, inputs and outputs with their dimensions."""

    nodes: list[bytes] = field(default_factory=list)
    weights: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Dims | None] = field(default_factory=lambda: {"x": ("batch", 3, 8, 8)})
    outputs: dict[str, Dims | None] = field(default_factory=lambda: {"y": None})
    opset: int = 17
    graph_fields: bytes = b""
    """Additional encoded fields of the graph."""

    def add(self, op: str, inputs: str, outputs: str, **options: Any) -> File:
        self.nodes.append(node(op, inputs, outputs, **options))
        return self

    def data(self) -> bytes:
        parts = [entry(1, item) for item in self.nodes] + [entry(2, "net")]
        parts += [
            entry(5, item if isinstance(item, bytes) else tensor(item, key)) for key, item in self.weights.items()
        ]
        parts += [entry(11, value_info(*item)) for item in self.inputs.items()]
        parts += [entry(12, value_info(*item)) for item in self.outputs.items()]
        graph = b"".join(parts) + self.graph_fields
        opset = entry(8, entry(1, "") + entry(2, self.opset))
        return entry(1, 8) + entry(2, "tests") + entry(3, "1.0") + opset + entry(7, graph)

    def write(self, path: Path) -> Path:
        path.write_bytes(self.data())
        return path


def op_file(
    op: str, shape: Sequence[int], *operands: Any, opset: int = 17, outputs: str = "y", **attributes: Any
) -> File:
    """Return a file with one node on images N × `shape`; other operands are weights w1, w2, … (`None`: omitted)."""
    weights = {f"w{number}": np.asarray(item) for number, item in enumerate(operands, 1) if item is not None}
    names = ["-" if item is None else f"w{number}" for number, item in enumerate(operands, 1)]
    file = File(weights=weights, inputs={"x": ("batch", *shape)}, opset=opset)
    file.outputs = dict.fromkeys(outputs.split())
    return file.add(op, " ".join(["x", *names]), outputs, **attributes)


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
