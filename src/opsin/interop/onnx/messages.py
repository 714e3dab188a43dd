"""Parser of the ONNX messages that describe the computation of a network.

Field numbers are those of `onnx.proto` (github.com/onnx/onnx, Apache 2.0). The data of tensors is not copied;
`tensors.py` reads it on demand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opsin.base.errors import ModelError
from opsin.interop.onnx.wire import (
    DamagedFileError,
    FieldValue,
    WireReader,
    as_bytes,
    as_float,
    as_floats,
    as_int,
    as_ints,
    as_text,
    quote_name,
)

MAX_NODES = 100_000
"""Limit of the nodes, and of the initializers. Networks have some thousand."""
MAX_AXES = 16
"""Limit of the axes of a tensor."""

METADATA_FIELD = 14
"""The number of the field of a ModelProto with an entry of the metadata."""

METADATA_KEY = "opsin"
"""The entry of the metadata in which Opsin describes the model, as JSON."""

Attribute: TypeAlias = "int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | TensorRecord | None"
"""The value of an AttributeProto; `None` for a type that no supported operator uses, such as a graph."""


@dataclass
class TensorRecord:
    """A TensorProto. Its elements are in `raw_data`, `typed_data` (by field number) or the file `external_data`."""

    name: str = ""
    dims: tuple[int, ...] = ()
    data_type: int = 0
    raw_data: memoryview | None = None
    typed_data: dict[int, bytearray] = field(default_factory=dict)
    external_data: dict[str, str] | None = None


@dataclass
class NodeRecord:
    """A NodeProto: an operator and the names of its inputs and outputs."""

    op: str = ""
    name: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class ValueRecord:
    """A ValueInfoProto: a named input or output, its element type and its dimensions (`None` for a free one)."""

    name: str
    elem_type: int
    dims: tuple[int | None, ...] | None


@dataclass
class GraphRecord:
    """A GraphProto: nodes, initializers by name, inputs and outputs."""

    name: str = ""
    nodes: list[NodeRecord] = field(default_factory=list)
    initializers: dict[str, TensorRecord] = field(default_factory=dict)
    inputs: list[ValueRecord] = field(default_factory=list)
    outputs: list[ValueRecord] = field(default_factory=list)


@dataclass
class ModelRecord:
    """A ModelProto: the graph, the producer, the opset version of each domain, and the entries of the metadata."""

    graph: GraphRecord | None = None
    producer: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def read_model(data: memoryview) -> ModelRecord:
    """Parse a ModelProto. Raise `ModelError`, with a message written to follow the file's name, if it is invalid."""
    wire, model, version = WireReader(), ModelRecord(), ""
    for number, value in wire.fields(data):
        match number:
            case 2:
                model.producer = as_text(value)
            case 3:
                version = as_text(value)
            case 7:
                model.graph = _graph(wire, value)
            case 8:
                domain, opset = _opset(wire, value)
                model.opsets[domain] = opset
            case 14:
                model.metadata |= [read_entry(wire, value)]
    model.producer = f"{model.producer} {version}".strip()
    return model


def _graph(wire: WireReader, message: FieldValue) -> GraphRecord:
    graph = GraphRecord()
    for number, value in wire.fields(message):
        match number:
            case 1:
                graph.nodes.append(_node(wire, value))
            case 2:
                graph.name = as_text(value)
            case 5:
                tensor = _tensor(wire, value)
                graph.initializers[tensor.name] = tensor
            case 11:
                graph.inputs.append(_value(wire, value))
            case 12:
                graph.outputs.append(_value(wire, value))
            case 15:
                raise ModelError("has sparse weights, which Opsin does not read; export it with dense weights")
        if max(len(graph.nodes), len(graph.initializers)) > MAX_NODES:
            raise ModelError(f"has more than {MAX_NODES:,} nodes or weights, which no network needs")
    return graph


def _node(wire: WireReader, message: FieldValue) -> NodeRecord:
    node = NodeRecord()
    for number, value in wire.fields(message):
        match number:
            case 1:
                node.inputs.append(as_text(value))
            case 2:
                node.outputs.append(as_text(value))
            case 3:
                node.name = as_text(value)
            case 4:
                node.op = as_text(value)
            case 5:
                name, attribute = _attribute(wire, value)
                node.attributes[name] = attribute
            case 7:
                node.domain = as_text(value)
    return node


def _attribute(wire: WireReader, message: FieldValue) -> tuple[str, Attribute]:
    """Return the name and the value of an AttributeProto.

    Its types are 1 FLOAT, 2 INT, 3 STRING, 4 TENSOR, 6 FLOATS, 7 INTS and 8 STRINGS.
    """
    name, attribute_type = "", 0
    scalars: dict[int, Attribute] = {}
    lists: dict[int, list[Any]] = {7: [], 8: [], 9: []}
    for number, value in wire.fields(message):
        match number:
            case 1:
                name = as_text(value)
            case 2:
                scalars[1] = as_float(value)
            case 3:
                scalars[2] = as_int(value)
            case 4:
                scalars[3] = str(as_bytes(value), "utf-8", "replace")
            case 5:
                scalars[4] = _tensor(wire, value)
            case 7:
                lists[7] += as_floats(value).tolist()
            case 8:
                lists[8] += as_ints(value).tolist()
            case 9:
                lists[9].append(str(as_bytes(value), "utf-8", "replace"))
            case 20:
                attribute_type = as_int(value)
    defaults: dict[int, Attribute] = {1: 0.0, 2: 0, 3: ""}  # Protocol Buffers may omit zeros.
    match attribute_type:
        case 1 | 2 | 3 | 4:
            return name, scalars.get(attribute_type, defaults.get(attribute_type))
        case 6 | 7 | 8:
            return name, tuple(lists[attribute_type + 1])
    return name, None


def _tensor(wire: WireReader, message: FieldValue) -> TensorRecord:
    tensor, dims, is_external = TensorRecord(), list[int](), False
    entries: dict[str, str] = {}
    for number, value in wire.fields(message):
        match number:
            case 1:
                dims += as_ints(value).tolist()
            case 2:
                tensor.data_type = as_int(value)
            case 3:
                raise ModelError("has a tensor in segments, which Opsin does not read")
            case 4 | 5 | 7 | 10 | 11:
                elements = as_ints(value).tobytes() if number in (5, 7, 11) else as_bytes(value)
                tensor.typed_data.setdefault(number, bytearray()).extend(elements)
            case 8:
                tensor.name = as_text(value)
            case 9:
                tensor.raw_data = as_bytes(value)
            case 13:
                entries |= [read_entry(wire, value)]
            case 14:
                is_external = as_int(value) == 1
    if len(dims) > MAX_AXES or min(dims, default=0) < 0:
        raise DamagedFileError(f"a tensor {quote_name(tensor.name)} with invalid dimensions")
    tensor.dims = tuple(dims)
    tensor.external_data = entries if is_external else None
    return tensor


def _value(wire: WireReader, message: FieldValue) -> ValueRecord:
    """Parse a ValueInfoProto, which nests TypeProto, Tensor and TensorShapeProto."""
    name, elem_type = "", 0
    dims: tuple[int | None, ...] | None = None
    for number, value in wire.fields(message):
        if number == 1:
            name = as_text(value)
        elif number == 2:
            for _, tensor in (item for item in wire.fields(value) if item[0] == 1):
                for inner, part in wire.fields(tensor):
                    if inner == 1:
                        elem_type = as_int(part)
                    elif inner == 2:
                        dims = tuple(_dim(wire, dim) for key, dim in wire.fields(part) if key == 1)
    if dims is not None and len(dims) > MAX_AXES:
        raise DamagedFileError(f"{quote_name(name)} with invalid dimensions")
    return ValueRecord(name, elem_type, dims)


def _dim(wire: WireReader, message: FieldValue) -> int | None:
    """Return a dimension, or None if it is free: exporters then write a name, nothing, or a number below 1."""
    size = None
    for number, value in wire.fields(message):
        size = as_int(value) if number == 1 else None
    return size if size is None or size > 0 else None


def _opset(wire: WireReader, message: FieldValue) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in wire.fields(message):
        if number == 1:
            domain = as_text(value)
        elif number == 2:
            version = as_int(value)
    return domain, version


def read_entry(wire: WireReader, message: FieldValue) -> tuple[str, str]:
    """Return the key and the value of a StringStringEntryProto."""
    key = entry = ""
    for number, value in wire.fields(message):
        if number == 1:
            key = as_text(value)
        elif number == 2:
            entry = as_text(value)
    return key, entry
