"""Writing of an inference graph as an ONNX file of opset 17, in float32 or with rounding to 8-bit integers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import __version__
from opsin.base.errors import ModelError, UsageError
from opsin.interop.onnx import encoding
from opsin.interop.onnx.byte_input import ByteInput, write_byte_input
from opsin.interop.onnx.composites import Operator, find_composite
from opsin.interop.onnx.encoding import FLOAT, UINT8, Attribute, field
from opsin.interop.onnx.messages import METADATA_KEY
from opsin.interop.onnx.names import CONSTANT_PREFIX, UniqueNames
from opsin.interop.onnx.operators import write_operation
from opsin.ir import INPUT, VARIABLE, Graph, Node, Size, Tensor, bind, show
from opsin.ops.quantized.rounded_variable import RoundedVariable

IR_VERSION, OPSET = 8, 17
"""Versions that ONNX Runtime reads from 1.12 on."""

MAX_FILE_BYTES = 2**31 - 1
"""Limit of a message of Protocol Buffers."""

LAST_INDEX = -(2**63) + 1
"""The end of a slice that goes backwards to the first element."""


@dataclass(frozen=True)
class Step:
    """A node of the graph, or the operator that replaces it and those before it."""

    node: Node
    operator: Operator | None


def to_bytes(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    *,
    name: str = "network",
    metadata: Mapping[str, str] | None = None,
    description: Mapping[str, Any] | None = None,
    byte_input: ByteInput | None = None,
    mirrored: bool = False,
    unit_length: bool = False,
    rounded: Mapping[str, RoundedVariable] | None = None,
) -> bytes:
    """Return the ONNX file of an inference graph with the variables `state`; equal networks give equal bytes.

    The names of outputs, variables and layers are those of the graph, and a free batch stays free. With `byte_input`,
    the input is "images", uint8, and the file normalizes it. If `mirrored`, the outputs are the means of those of an
    image and of its mirror image, with `unit_length` divided by their lengths. Variables in `rounded` are stored as
    whole numbers with their scales. `metadata` are entries for other programs. `description` is data for JSON that
    `read` returns; its entry "graph" says which part of the file is the network itself.

    Raise `UsageError` for an operation that ONNX does not have, and if the file would be larger than 2 GiB. Raise
    `ModelError` if a variable has no value.
    """
    writer = GraphWriter(state, rounded or {})
    (images,) = graph.inputs
    shape: Sequence[Any] = images.shape
    if byte_input is None:
        input_name, input_type = str(images.node.attrs["name"]), FLOAT
        value = input_name
    else:
        input_name, input_type, shape = "images", UINT8, byte_input.shape(images.shape)
        value = write_byte_input(writer, byte_input, input_name)
    own_outputs = outputs = writer.graph(graph, {images: value})
    if mirrored:
        outputs = writer.mean_with_mirrored(graph, images, value, own_outputs, unit_length)
    for output, result in outputs.items():
        writer.rename(result, output)
    own: dict[str, Any] = {"frozen": [each for each in graph.variables if each not in graph.parameters]}
    if mirrored or byte_input:
        own["network"] = {
            "input": value,
            "shape": [int(size) for size in bind(images.shape, 1)[1:]],
            "outputs": {key: writer.name(each) for key, each in own_outputs.items()},
        }
    data = writer.model(
        name,
        encoding.value_info(input_name, _dims(shape), input_type),
        [encoding.value_info(output, _dims(tensor.shape)) for output, tensor in graph.outputs.items()],
        {**(metadata or {}), METADATA_KEY: _dumps({"graph": own, **(description or {})})},
    )
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{name} has {len(data):,} bytes; an ONNX file has at most 2 GiB: ship it as --to torch")
    return data


def _dumps(description: Mapping[str, Any]) -> str:
    return json.dumps(description, separators=(",", ":"), ensure_ascii=False)


def _dims(shape: Sequence[Any]) -> list[int | str]:
    """Return the sizes for a declaration; that of the batch is "N"."""
    return [str(size) if isinstance(size, Size) else size for size in shape]


class GraphWriter:
    """Writer of nodes and initializers; it is the `NodeWriter` of the rules."""

    def __init__(self, state: Mapping[str, NDArray[Any]], rounded: Mapping[str, RoundedVariable]) -> None:
        self.state, self.rounded = state, rounded
        self.nodes: list[tuple[str, str, list[str], str, dict[str, Attribute]]] = []
        """Operator, name, inputs, output and attributes of each node."""
        self.initializers: dict[str, NDArray[Any]] = {}
        self.truths: dict[str, str] = {}
        self._values: dict[Tensor, str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._renamed: dict[str, str] = {}
        self._names = UniqueNames()
        self._scope = ""

    # -- NodeWriter ------------------------------------------------------------------------------

    def value(self, tensor: Tensor) -> str:
        return self._values[tensor]

    def emit(self, op: str, inputs: Sequence[str], attributes: dict[str, Attribute] | None = None) -> str:
        name = self._names.unique(self._scope or op)
        self.nodes.append((op, name, list(inputs), f"{name}:0", attributes or {}))
        return f"{name}:0"

    def constant(self, values: Any, dtype: type[Any] = np.float32) -> str:
        array = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        key = array.dtype.name, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = name = f"{CONSTANT_PREFIX}{len(self._constants)}"
            self.initializers[name] = array
        return self._constants[key]

    # -- graphs ----------------------------------------------------------------------------------

    def graph(self, graph: Graph, inputs: Mapping[Tensor, str]) -> dict[str, str]:
        """Write the nodes of a graph whose inputs have these names; return the names of its outputs."""
        self._values = dict(inputs)
        for step in plan(graph):
            self._scope = step.node.scope
            self._values[step.node.output] = self._write(step)
        self._scope = ""
        return {name: self._values[tensor] for name, tensor in graph.outputs.items()}

    def _write(self, step: Step) -> str:
        node = step.node
        if node.op is INPUT:
            return self._values[node.output]
        if node.op is VARIABLE:
            return self._variable(node)
        if step.operator is None:
            return write_operation(self, node)
        operator = step.operator
        return self.emit(operator.op, [self.value(operand) for operand in operator.operands], operator.attributes)

    def _variable(self, node: Node) -> str:
        name = str(node.attrs["name"])
        if name not in self.state:
            raise ModelError(f"the variable '{name}' has no value")
        array = np.asarray(self.state[name], np.float32)
        if array.shape != node.output.shape:
            raise ModelError(f"the variable '{name}' is {show(array.shape)}, not {show(node.output.shape)}")
        if name in self.rounded:
            whole = self.rounded[name]
            self.initializers[name] = whole.integers
            zeros = self._zeros(name, whole.integers)
            return self.emit("DequantizeLinear", [name, self.constant(whole.scale), zeros], {"axis": 0})
        self.initializers[name] = array
        return name

    def _zeros(self, name: str, integers: NDArray[Any]) -> str:
        """Return the zero points of a variable. Weights of 8 bits have their own: with `session.x64quantprecision`,
        ONNX Runtime replaces those of each layer, and fails if it has replaced them for another one (1.32)."""
        zeros = np.zeros(len(integers), integers.dtype)
        if integers.dtype != np.int8:
            return self.constant(zeros, zeros.dtype.type)
        self.initializers[f"{name}.zeros"] = zeros
        return f"{name}.zeros"

    def mean_with_mirrored(
        self, graph: Graph, images: Tensor, value: str, outputs: Mapping[str, str], unit_length: bool
    ) -> dict[str, str]:
        """Write the graph again for the mirrored images; return the names of the means of both outputs, which have
        length 1 along axis 1 if that is asked."""
        mirrored = self.graph(graph, {images: self._mirror(value)})
        result = {}
        for name, other in mirrored.items():
            back = self._mirror(other) if graph.outputs[name].rank == 4 else other
            mean = self.emit("Mul", [self.emit("Add", [outputs[name], back]), self.constant(0.5)])
            result[name] = self.emit("LpNormalization", [mean], {"axis": 1, "p": 2}) if unit_length else mean
        return result

    def _mirror(self, value: str) -> str:
        """Write the mirror image of N × C × H × W."""
        start, stop, axis, step = (self.constant([number], np.int64) for number in (-1, LAST_INDEX, 3, -1))
        return self.emit("Slice", [value, start, stop, axis, step])

    def rename(self, value: str, name: str) -> None:
        """Call a value by the name of an output; a value that has a name already is copied."""
        is_computed = any(output == value for _, _, _, output, _ in reversed(self.nodes))
        if value in self._renamed or not is_computed:
            self.nodes.append(("Identity", self._names.unique(f"{name}.Identity"), [value], name, {}))
        else:
            self._renamed[value] = name

    def name(self, value: str) -> str:
        """Return the name of a value in the file."""
        return self._renamed.get(value, value)

    def model(self, name: str, images: bytes, outputs: Sequence[bytes], metadata: Mapping[str, str]) -> bytes:
        """Return the ModelProto."""
        used = set(self._renamed)
        nodes: list[bytes] = []
        for op, node_name, inputs, output, attributes in reversed(self.nodes):
            if output in used or op == "Identity":
                used.update(inputs)
                names = [self.name(each) for each in inputs]
                nodes.append(field(1, encoding.node(op, node_name, names, self.name(output), attributes)))
        arrays = {key: array for key, array in self.initializers.items() if key in used}
        initializers = [part for item in arrays.items() for part in encoding.message(5, encoding.tensor(*item))]
        ends = [field(11, images), *(field(12, each) for each in outputs)]
        graph = encoding.message(7, [*nodes[::-1], field(2, name), *initializers, *ends])
        head = field(1, IR_VERSION) + field(2, "opsin") + field(3, __version__)
        opset = field(8, field(1, "") + field(2, OPSET))
        entries = [field(14, encoding.entry(*item)) for item in metadata.items()]
        return b"".join([head, *graph, opset, *entries])


def plan(graph: Graph) -> list[Step]:
    """Return the steps that compute the outputs, operands first, with composite operators where they apply.

    A composite replaces only nodes that nothing else reads, unless they are constants, so no product is computed twice.
    """
    needed = {tensor.node for tensor in graph.outputs.values()}
    outputs = set(graph.outputs.values())
    steps: list[Step] = []
    for node in reversed(graph.forward):
        if node not in needed:
            continue
        found = find_composite(node)
        if found is not None:
            inner = set(found[1])
            if any(_is_read_elsewhere(each, inner, graph, outputs) for each in inner - {node}):
                found = None
        operands = node.inputs if found is None else found[0].operands
        needed.update(operand.node for operand in operands)
        steps.append(Step(node, found and found[0]))
    return steps[::-1]


def _is_read_elsewhere(node: Node, inner: set[Node], graph: Graph, outputs: set[Tensor]) -> bool:
    if not node.inputs:
        return False
    return node.output in outputs or any(user not in inner for user in graph.users[node.output])
