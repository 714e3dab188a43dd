"""The messages of an ONNX file, as far as they describe what a network computes.

Field numbers are those of `onnx.proto` (github.com/onnx/onnx, Apache 2.0). Arrays stay in the file until they are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opsin.base.errors import ModelError
from opsin.interop.onnx.wire import Damaged, Value, Wire, octets, real, reals, shown, text, whole, wholes

MAX_NODES = 100_000
MAX_AXES = 16
"""Limits far above those of any network."""

Attribute: TypeAlias = "int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | TensorRecord | None"
"""An attribute's value; `None` for a kind that no supported operator has, such as a graph."""


@dataclass
class TensorRecord:
    """An array as the file describes it: `raw` bytes, `packed` fields by number, or an `external` file."""

    name: str = ""
    dims: tuple[int, ...] = ()
    kind: int = 0
    raw: memoryview | None = None
    packed: dict[int, bytearray] = field(default_factory=dict)
    external: dict[str, str] | None = None


@dataclass
class NodeRecord:
    """One operator with the names of its inputs and outputs."""

    op: str = ""
    name: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class ValueRecord:
    """A named input or output: its element type, and its dimensions, `None` for one that is free."""

    name: str
    kind: int
    dims: tuple[int | None, ...] | None


@dataclass
class GraphRecord:
    """The network: nodes, weights by name, inputs and outputs."""

    name: str = ""
    nodes: list[NodeRecord] = field(default_factory=list)
    initializers: dict[str, TensorRecord] = field(default_factory=dict)
    inputs: list[ValueRecord] = field(default_factory=list)
    outputs: list[ValueRecord] = field(default_factory=list)


@dataclass
class ModelRecord:
    """The whole file: its graph, its producer, and the version of each operator set by domain."""

    graph: GraphRecord | None = None
    producer: str = ""
    opsets: dict[str, int] = field(default_factory=dict)


def read_model(data: memoryview) -> ModelRecord:
    """Read the message ModelProto. Raise `ModelError`, with a text that follows the file's name."""
    wire, model, version = Wire(), ModelRecord(), ""
    for number, value in wire.fields(data):
        match number:
            case 2:
                model.producer = text(value)
            case 3:
                version = text(value)
            case 7:
                model.graph = _graph(wire, value)
            case 8:
                domain, opset = _opset(wire, value)
                model.opsets[domain] = opset
    model.producer = f"{model.producer} {version}".strip()
    return model


def _graph(wire: Wire, message: Value) -> GraphRecord:
    graph = GraphRecord()
    for number, value in wire.fields(message):
        match number:
            case 1:
                graph.nodes.append(_node(wire, value))
            case 2:
                graph.name = text(value)
            case 5:
                tensor = _tensor(wire, value)
                graph.initializers[tensor.name] = tensor
            case 11:
                graph.inputs.append(_value(wire, value))
            case 12:
                graph.outputs.append(_value(wire, value))
            case 15:
                raise ModelError("has sparse weights, which Opsin does not read; export it with dense ones")
        if max(len(graph.nodes), len(graph.initializers)) > MAX_NODES:
            raise ModelError(f"has more than {MAX_NODES:,} nodes or weights, which no network needs")
    return graph


def _node(wire: Wire, message: Value) -> NodeRecord:
    node = NodeRecord()
    for number, value in wire.fields(message):
        match number:
            case 1:
                node.inputs.append(text(value))
            case 2:
                node.outputs.append(text(value))
            case 3:
                node.name = text(value)
            case 4:
                node.op = text(value)
            case 5:
                name, attribute = _attribute(wire, value)
                node.attributes[name] = attribute
            case 7:
                node.domain = text(value)
    return node


def _attribute(wire: Wire, message: Value) -> tuple[str, Attribute]:
    """Return the name of an attribute, and its value by its type: 1 a float … 7 integers, 8 strings."""
    name, kind = "", 0
    single: dict[int, Attribute] = {}
    lists: dict[int, list[Any]] = {7: [], 8: [], 9: []}
    for number, value in wire.fields(message):
        match number:
            case 1:
                name = text(value)
            case 2:
                single[1] = real(value)
            case 3:
                single[2] = whole(value)
            case 4:
                single[3] = str(octets(value), "utf-8", "replace")
            case 5:
                single[4] = _tensor(wire, value)
            case 7:
                lists[7] += reals(value).tolist()
            case 8:
                lists[8] += wholes(value).tolist()
            case 9:
                lists[9].append(str(octets(value), "utf-8", "replace"))
            case 20:
                kind = whole(value)
    empty: dict[int, Attribute] = {1: 0.0, 2: 0, 3: ""}  # A writer may omit zeros.
    match kind:
        case 1 | 2 | 3 | 4:
            return name, single.get(kind, empty.get(kind))
        case 6 | 7 | 8:
            return name, tuple(lists[kind + 1])
    return name, None


def _tensor(wire: Wire, message: Value) -> TensorRecord:
    tensor, dims, is_external = TensorRecord(), list[int](), False
    external: dict[str, str] = {}
    for number, value in wire.fields(message):
        match number:
            case 1:
                dims += wholes(value).tolist()
            case 2:
                tensor.kind = whole(value)
            case 3:
                raise ModelError("has a tensor in segments, which Opsin does not read")
            case 4 | 5 | 7 | 10 | 11:
                run = wholes(value).tobytes() if number in (5, 7, 11) else octets(value)
                tensor.packed.setdefault(number, bytearray()).extend(run)
            case 8:
                tensor.name = text(value)
            case 9:
                tensor.raw = octets(value)
            case 13:
                external |= [_entry(wire, value)]
            case 14:
                is_external = whole(value) == 1
    if len(dims) > MAX_AXES or min(dims, default=0) < 0:
        raise Damaged(f"a tensor {shown(tensor.name)} with impossible dimensions")
    tensor.dims = tuple(dims)
    tensor.external = external if is_external else None
    return tensor


def _value(wire: Wire, message: Value) -> ValueRecord:
    """ValueInfoProto → TypeProto → Tensor → TensorShapeProto."""
    name, kind = "", 0
    dims: tuple[int | None, ...] | None = None
    for number, value in wire.fields(message):
        if number == 1:
            name = text(value)
        elif number == 2:
            for _, tensor in (item for item in wire.fields(value) if item[0] == 1):
                for inner, part in wire.fields(tensor):
                    if inner == 1:
                        kind = whole(part)
                    elif inner == 2:
                        dims = tuple(_dim(wire, dim) for key, dim in wire.fields(part) if key == 1)
    if dims is not None and len(dims) > MAX_AXES:
        raise Damaged(f"{shown(name)} with impossible dimensions")
    return ValueRecord(name, kind, dims)


def _dim(wire: Wire, message: Value) -> int | None:
    """Return a dimension, None if it is free: writers mark that by a name, by nothing, or by a number below one."""
    size = None
    for number, value in wire.fields(message):
        size = whole(value) if number == 1 else None
    return size if size is None or size > 0 else None


def _opset(wire: Wire, message: Value) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in wire.fields(message):
        if number == 1:
            domain = text(value)
        elif number == 2:
            version = whole(value)
    return domain, version


def _entry(wire: Wire, message: Value) -> tuple[str, str]:
    key = entry = ""
    for number, value in wire.fields(message):
        if number == 1:
            key = text(value)
        elif number == 2:
            entry = text(value)
    return key, entry
