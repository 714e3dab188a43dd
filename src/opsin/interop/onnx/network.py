"""Import of an ONNX file as a graph: its nodes are converted in topological order, each by its rule."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base.errors import GraphError, ModelError, OpsinError, ShapeError
from opsin.base.file_types import HEAD, ONNX, identify
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, UnsupportedError, Value
from opsin.interop.onnx.classifier_output import (
    LAYOUT_OPERATORS,
    ClassifierOutput,
    constant_lookup,
    conversion,
    find_classifier_output,
    to_logits,
)
from opsin.interop.onnx.image_sizes import by_class, dims_text, image_shape, matches
from opsin.interop.onnx.messages import GraphRecord, ModelRecord, NodeRecord, TensorRecord, ValueRecord, read_model
from opsin.interop.onnx.names import CONSTANT_PREFIX, UniqueNames, layer_path, variable_name
from opsin.interop.onnx.own_graph import OwnGraph, read_description
from opsin.interop.onnx.problems import Problem, report
from opsin.interop.onnx.rules import FOLDS, RULES, simplify
from opsin.interop.onnx.tensors import FLOAT_TYPES, TYPE_NAMES, UINT8, TensorLoader, open_file
from opsin.interop.onnx.topological_order import find_producers, topological_order
from opsin.interop.onnx.wire import quote_name
from opsin.ir import BATCH, INT8, Graph, Tensor, bind, input_tensor, scope, show, variable
from opsin.ir.checked import checked
from opsin.ir.serialization import MAX_ELEMENTS, MAX_RANK

MIN_OPSET, MAX_OPSET = 7, 28
"""The range of supported opset versions."""

MAX_FOLDED_ELEMENTS = 2**24
"""Limit of the elements that constant folding may compute, in addition to one for each byte of the file."""

FILE_ADVICE = "give one that an exporter such as torch.onnx.export wrote"

BYTE_OPERATORS = (
    *LAYOUT_OPERATORS, "Concat", "DepthToSpace", "Expand", "Gather", "MaxPool", "Pad", "Slice", "SpaceToDepth", "Split",
    "Tile",
)  # fmt: skip
"""Operators that may have uint8 operands, because they only move elements."""

INTEGER_OPERATORS = ("DequantizeLinear", "Identity", "Shape", "Size")
"""Operators that may read what QuantizeLinear made."""

CHANNEL_COUNTS = (1, 3, 4)
"""Sizes of the last axis for which an input is N × H × W × C, if it has more rows and columns than that."""

OPERAND_ERRORS = (ValueError, TypeError, IndexError, KeyError, ArithmeticError)
"""Errors that NumPy and Python raise for invalid operands and attributes."""


@dataclass(frozen=True)
class Network:
    """A network from an ONNX file.

    The input of `graph` is "inputs", N × C × H × W with any N. `state` has the values of its variables, float32, by
    their names in the file, which are changed if they are not valid. `layers` has the operator of each layer path,
    which is the name of the node.
    """

    graph: Graph
    state: dict[str, NDArray[np.float32]]
    layers: dict[str, str]
    name: str
    producer: str
    opset: int
    independent: bool = False
    """Whether the classifier is multi-label: each label has its own logit and sigmoid."""
    labels: tuple[str, ...] | None = None
    """The names of the classes, or None if the file has none."""
    byte_input: bool = False
    """Whether the file takes images as bytes, from 0 to 255."""
    conversion: str = ""
    """How the outputs of a classifier were changed, in a sentence; empty if they are those of the file."""
    description: dict[str, Any] = field(default_factory=dict)
    """What Opsin wrote into the file's metadata about the model; empty in files of others."""


@checked
def read(
    path: str | os.PathLike[str],
    input_shape: tuple[int, int, int] | None = None,
    *,
    classifier: bool = False,
    other_size: bool = False,
) -> Network:
    """Return the network in an ONNX file; its outputs have their names in the file.

    `input_shape` (channels, rows, columns) is required if the file leaves these sizes free. With `other_size`, its rows
    and columns take the place of those in the file: exporters write the size of an example into files of networks that
    take any.

    With `classifier`, the network has one output, "logits", N × classes: the first output of the file with floats,
    before a final softmax or sigmoid. A single output becomes two classes; softmax of their logits gives 1 - p and p.

    Of a file that Opsin wrote with preprocessing or with mirrored images inside, the network itself is returned.

    Nothing in the file is executed, and the only other files that are read are external weights in the same folder.

    Raise `ModelError` if the file is damaged or not an ONNX file, or if Opsin does not support its operators; the error
    lists all unsupported ones.
    """
    place = Path(path)
    data = open_file(place)
    kind = identify(bytes(data[:HEAD]))
    try:
        if kind and kind.absent:
            raise ModelError(f"is {kind.what}; {kind.advice}")
        if kind and kind != ONNX:
            raise ModelError(f"is not an ONNX file but {kind.what}; {kind.advice or FILE_ADVICE}")
        record = read_model(data)
        graph, opset = _graph_and_opset(record)
        description = read_description(record.metadata)
        own = None if description is None else OwnGraph.of(description)
        importer = Importer(graph, opset, TensorLoader(place.parent, len(data)), own)
        importer.other_size = other_size
        converted_graph = importer.network(input_shape, classifier)
    except ModelError as error:
        raise ModelError(f"{path} {error}") from None
    return Network(
        converted_graph, importer.state, importer.layers, graph.name or place.stem, record.producer, opset,
        importer.independent, importer.output.labels, importer.byte_input, importer.conversion, description or {},
    )  # fmt: skip


def _graph_and_opset(record: ModelRecord) -> tuple[GraphRecord, int]:
    """Return the graph and the opset version; raise `ModelError` if they are not supported."""
    opset = max(record.opsets.get("", 0), record.opsets.get("ai.onnx", 0))
    if record.graph is None or not record.opsets:
        raise ModelError(f"is not an ONNX file; {FILE_ADVICE}")
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise ModelError(
            f"uses opset version {opset}; Opsin supports {MIN_OPSET} to {MAX_OPSET}: export it again with one of these"
        )
    return record.graph, opset


class Importer:
    """Converter of one graph; it is the `ImportContext` of the import rules."""

    def __init__(self, record: GraphRecord, opset: int, arrays: TensorLoader, own: OwnGraph | None = None) -> None:
        self.record, self.opset, self.arrays, self.own = record, opset, arrays, own
        self.other_size = False
        self.folded_elements = 0
        self.batch: int | None = None
        self.state: dict[str, NDArray[np.float32]] = {}
        self.layers: dict[str, str] = {}
        self.values: dict[str, Value] = {}
        self.unavailable_values: set[str] = set()
        self.problems: list[Problem] = []
        self.byte_values: set[str] = set()
        """Names of the values with elements of type uint8."""
        self.byte_input = False
        self.output = ClassifierOutput("")
        self.independent, self.conversion = False, ""
        self._variables: dict[ConstantValue, Tensor] = {}
        self._names, self._paths = UniqueNames(), UniqueNames()

    # -- ImportContext ---------------------------------------------------------------------------

    def is_variable(self, constant: ConstantValue) -> bool:
        is_stored = constant.weight and constant.name in self.record.initializers
        return self.own is not None and is_stored and not constant.name.startswith(CONSTANT_PREFIX)

    def variable(self, constant: ConstantValue, trainable: bool) -> Tensor:
        if self.own is not None:
            trainable = self.is_variable(constant) and constant.name not in self.own.frozen
        if constant not in self._variables:
            if constant.array.size == 0:
                raise UnsupportedError("an operand without elements")
            name = self._names.unique(variable_name(constant.name))
            with scope(""):
                self._variables[constant] = variable(name, constant.array.shape, trainable=trainable)
            self.state[name] = np.array(constant.array, np.float32, order="C")
        return self._variables[constant]

    def spend(self, elements: int) -> None:
        self.folded_elements += elements
        if self.folded_elements > MAX_FOLDED_ELEMENTS + self.arrays.file_bytes:
            raise UnsupportedError(f"folding constants of {elements:,} elements, out of proportion to the file")

    def array(self, record: TensorRecord) -> Array:
        return self.arrays.read(record)

    # -- conversion ------------------------------------------------------------------------------

    def network(self, input_shape: tuple[int, int, int] | None, classifier: bool) -> Graph:
        """Return the converted graph. See `read`."""
        producer = find_producers(self.record)
        outputs = {value.name: value.name for value in self.record.outputs}
        if not outputs:
            raise ModelError("has no output")
        if classifier:
            number = constant_lookup(self.record.initializers, producer, self.arrays.read)
            self.output = find_classifier_output(self.record.outputs, producer, number)
            outputs = {"logits": self.output.name}
        inputs = [value for value in self.record.inputs if value.name not in self.record.initializers]
        if self.own is not None and self.own.input is not None:
            inputs, outputs = [self.own.input], self.own.outputs
        nodes = topological_order(
            producer, {*self.record.initializers, *(v.name for v in inputs)}, list(outputs.values())
        )
        used_names = {*outputs.values(), *(name for node in nodes for name in node.inputs)}
        images = self._images([value for value in inputs if value.name in used_names], input_shape, classifier)
        with np.errstate(all="ignore"):
            for node in nodes:
                self._convert(node, used_names)
        if self.problems:
            raise report(self.problems, self.batch)
        results = {name: self._result(value) for name, value in outputs.items()}
        if classifier:
            values = by_class(results["logits"])
            results["logits"], self.independent = to_logits(values, self.output)
            self.conversion = conversion(self.output, values.shape[1] == 1)
        elif self.own is None and not self.other_size:
            self._check_declared_shapes(results)
        return Graph((images,), results).verify()

    def _images(
        self, inputs: Sequence[ValueRecord], input_shape: tuple[int, int, int] | None, classifier: bool
    ) -> Tensor:
        """Return the input of the graph, N × C × H × W, and store it in the layout that the file expects."""
        if len(inputs) != 1:
            names = ", ".join(quote_name(value.name) for value in inputs[:8]) or "none"
            raise ModelError(f"has {len(inputs)} inputs ({names}); Opsin imports networks with one input, the images")
        (record,) = inputs
        if record.elem_type not in (*FLOAT_TYPES, UINT8):
            raise ModelError(
                f"has {TYPE_NAMES.get(record.elem_type, 'unknown')} values in {quote_name(record.name)}; Opsin reads "
                "networks that take images as floats or as bytes (uint8): export it with such an input"
            )
        if record.elem_type == UINT8:
            self.byte_values.add(record.name)
            self.byte_input = True
        dims = record.dims or (None, *[None] * 3)
        if classifier and len(dims) != 4:
            raise ModelError(f"has the input {quote_name(record.name)} with {len(dims)} axes; images have four")
        self.batch = dims[0]
        is_channels_last = (
            len(dims) == 4
            and dims[3] in CHANNEL_COUNTS
            and all(d is None or d > max(CHANNEL_COUNTS) for d in dims[1:3])
        )
        sizes = (dims[3], *dims[1:3]) if is_channels_last else dims[1:]
        if self.other_size and len(sizes) == 3:
            sizes = (sizes[0], None, None)
        images = input_tensor("inputs", (BATCH, *image_shape(sizes, input_shape)))
        self._check_size(images)
        self.values[record.name] = self._channels_last(images, record.name) if is_channels_last else images
        return images

    def _channels_last(self, images: Tensor, name: str) -> Tensor:
        path = self._paths.unique(layer_path(name))
        self.layers[path] = "Transpose"
        with scope(path):
            return ops.transpose(images, (0, 2, 3, 1))

    def _value(self, name: str) -> Value | None:
        if name and name not in self.values:
            self.values[name] = ConstantValue(self.arrays.read(self.record.initializers[name]), name, weight=True)
        return self.values[name] if name else None

    def _convert(self, node: NodeRecord, used_names: set[str]) -> None:
        """Convert `node` and store its outputs, or record why it is not supported."""
        if node.domain not in ("", "ai.onnx") or node.op not in RULES.keys() | FOLDS.keys():
            self.problems.append(Problem(_operator(node), _node_name(node)))
            self.unavailable_values.update(node.outputs)
            return
        if not self.unavailable_values.isdisjoint(node.inputs):
            self.unavailable_values.update(node.outputs)
            return
        path = self._paths.unique(layer_path(_node_name(node)))
        try:
            self._check_bytes(node)
            with scope(path):
                results = self._results(node)
                for name in node.outputs[len(results) :]:
                    if name in used_names:
                        raise UnsupportedError(f"its output {quote_name(name)}")
                for result in results:
                    self._check_size(result)
        except (UnsupportedError, ShapeError, GraphError, *OPERAND_ERRORS) as error:
            reason = error.reason if isinstance(error, OpsinError) and error.layer == path else str(error)
            if isinstance(error, OPERAND_ERRORS):
                reason = f"its operands or attributes are invalid ({reason[:200]})"
            self.problems.append(Problem(node.op, _node_name(node), reason))
            self.unavailable_values.update(node.outputs)
            return
        if any(isinstance(result, Tensor) for result in results):
            self.layers[path] = node.op
        self.values.update(zip(node.outputs, results, strict=False))

    def _check_bytes(self, node: NodeRecord) -> None:
        """Raise `UnsupportedError` for arithmetic on integers, which wraps around in ONNX but not in Opsin."""
        values = (self.values.get(name) for name in node.inputs)
        if node.op not in INTEGER_OPERATORS and any(isinstance(t, Tensor) and t.dtype == INT8 for t in values):
            raise UnsupportedError(
                "it computes with 8-bit integers; Opsin reads quantized networks in which QuantizeLinear and "
                "DequantizeLinear surround operators on floats (the format QDQ)"
            )
        if node.op in ("Cast", "Shape", "Size") or self.byte_values.isdisjoint(node.inputs):
            return
        if node.op not in BYTE_OPERATORS:
            raise UnsupportedError(
                "it computes with bytes (uint8); cast the images to float32 first, and export it again"
            )
        self.byte_values.update(node.outputs)

    def _results(self, node: NodeRecord) -> Sequence[Value]:
        rule, fold = RULES.get(node.op), FOLDS.get(node.op)
        call = OnnxCall(self, node, tuple(self._value(name) for name in node.inputs))
        operands = [value for value in call.inputs if value is not None]
        constants = [value for value in operands if isinstance(value, ConstantValue)]
        is_constant = bool(operands) and len(constants) == len(operands)
        if fold and is_constant and not (rule and any(map(self.is_variable, constants))):
            arrays = fold(call, [value.array for value in constants])
            results: Any = self._fold_results(node, constants, arrays if isinstance(arrays, list) else [arrays])
        elif rule:
            results = rule(call)
        else:
            raise UnsupportedError("its operands depend on the images")
        if unread_attributes := node.attributes.keys() - call.read_attributes:
            raise UnsupportedError(f"the attribute {quote_name(min(unread_attributes))}")
        return results if isinstance(results, list) else [results]

    def _fold_results(
        self, node: NodeRecord, constants: Sequence[ConstantValue], arrays: Sequence[Array]
    ) -> list[ConstantValue]:
        self.spend(sum(array.size for array in arrays))
        is_weight = any(value.weight for value in constants)
        weight_name = constants[0].name if node.op in LAYOUT_OPERATORS and constants[0].weight else None
        return [
            ConstantValue(simplify(np.asarray(array)), weight_name or name, is_weight)
            for array, name in zip(arrays, node.outputs, strict=False)
        ]

    def _check_size(self, value: Value) -> None:
        """Raise `UnsupportedError` if a tensor exceeds `MAX_RANK` or `MAX_ELEMENTS`."""
        if isinstance(value, Tensor):
            sizes = bind(value.shape, 1)
            if value.rank > MAX_RANK or min(sizes, default=1) < 1 or math.prod(sizes) > MAX_ELEMENTS:
                raise UnsupportedError(f"a tensor of {show(value.shape)}")

    def _result(self, name: str) -> Tensor:
        value = self._value(name)
        if not isinstance(value, Tensor):
            raise ModelError(f"has an output {quote_name(name)} that does not depend on the images")
        if value.dtype == INT8:
            raise ModelError(
                f"has an output {quote_name(name)} of 8-bit integers; export it with a DequantizeLinear at its end"
            )
        return value

    def _check_declared_shapes(self, results: dict[str, Tensor]) -> None:
        """Raise `ModelError` unless the outputs have the shapes that the file declares."""
        for record in self.record.outputs:
            declared, shape = record.dims, results[record.name].shape
            if declared is None:
                continue
            sizes = bind(shape, self.batch or 1)
            first = 1 if self.batch is None else 0  # A free batch size is not compared.
            if len(declared) != len(sizes) or not matches(declared[first:], sizes[first:]):
                raise ModelError(
                    f"declares its output {quote_name(record.name)} as {dims_text(declared)}, "
                    f"but computes {show(shape)}"
                )


def _node_name(node: NodeRecord) -> str:
    """Return the name of a node, or that of its first output if it has none."""
    return node.name or next(filter(None, node.outputs))


def _operator(node: NodeRecord) -> str:
    return node.op if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op}"
