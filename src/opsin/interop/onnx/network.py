"""From an ONNX file to a graph: the nodes in order, each converted by its rule."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base.errors import GraphError, ModelError, OpsinError, ShapeError
from opsin.base.file_types import HEAD, ONNX, identify
from opsin.interop.onnx.answers import LAYOUT, Answer, find_answer, logits_of, number_in
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, Unsupported, Value
from opsin.interop.onnx.messages import GraphRecord, ModelRecord, NodeRecord, TensorRecord, ValueRecord, read_model
from opsin.interop.onnx.names import Names, layer_path, variable_name
from opsin.interop.onnx.order import needed, producers
from opsin.interop.onnx.problems import Problem, report
from opsin.interop.onnx.rules import FOLDS, RULES, tidy
from opsin.interop.onnx.tensors import BYTE, KIND_NAMES, REAL, Arrays, open_file
from opsin.interop.onnx.wire import shown
from opsin.ir import BATCH, Graph, Shape, Tensor, bind, input_tensor, scope, show, variable
from opsin.ir.checked import checked
from opsin.ir.serialization import MAX_ELEMENTS, MAX_RANK

MIN_OPSET, MAX_OPSET = 7, 28
"""The supported versions of ONNX's operator set."""

MAX_FOLDED = 2**24
"""Elements that may be computed while reading, in addition to one for each byte of the file."""

EXPECTED = "give one that an exporter such as torch.onnx.export wrote"

BYTE_OPERATORS = (
    *LAYOUT, "Concat", "DepthToSpace", "Expand", "Gather", "MaxPool", "Pad", "Slice", "SpaceToDepth", "Split", "Tile",
)  # fmt: skip
"""Operators that only move bytes."""

CHANNELS = (1, 3, 4)
"""Sizes of a last axis that make an input N × H × W × C, if rows and columns are larger."""

INVALID = (ValueError, TypeError, IndexError, KeyError, ArithmeticError)
"""Errors of NumPy and Python about operands and attributes that do not fit."""


@dataclass(frozen=True)
class Network:
    """The network that an ONNX file describes.

    The graph's input is "inputs", N × C × H × W with any N; `state` holds its variables, float32, by the file's names
    if these are valid names; `layers` are the operators by layer path, which is the node's name.
    """

    graph: Graph
    state: dict[str, NDArray[np.float32]]
    layers: dict[str, str]
    name: str
    producer: str
    opset: int
    independent: bool = False
    """Whether the classifier is multi-label: each of its logits belongs into a sigmoid of its own."""
    labels: tuple[str, ...] | None = None
    """The names of the classes, if the file has them."""
    byte_input: bool = False
    """Whether the file takes images as bytes, from 0 to 255."""


@checked
def read(
    path: str | os.PathLike[str], input_shape: tuple[int, int, int] | None = None, *, classifier: bool = False
) -> Network:
    """Return the network in an ONNX file, its outputs by their names in the file.

    `input_shape` (channels, rows, columns) is needed if the file leaves sizes free. With `classifier` there is one
    output, "logits", N × classes: the first of the file's outputs that holds floats, before a final softmax or sigmoid;
    a single output becomes two classes, so that softmax gives 1 - p and p. No code is run, and no other files are read
    than those with weights in the same folder. Raise `ModelError` if the file is damaged, is not an ONNX file, or needs
    operators that Opsin does not support, all of which are named.
    """
    place = Path(path)
    data = open_file(place)
    kind = identify(bytes(data[:HEAD]))
    try:
        if kind and kind.absent:
            raise ModelError(f"is {kind.what}; {kind.advice}")
        if kind and kind != ONNX:
            raise ModelError(f"is not an ONNX file but {kind.what}; {kind.advice or EXPECTED}")
        record = read_model(data)
        graph, opset = _checked(record)
        importer = Importer(graph, opset, Arrays(place.parent, len(data)))
        made = importer.network(input_shape, classifier)
    except ModelError as error:
        raise ModelError(f"{path} {error}") from None
    return Network(
        made, importer.state, importer.layers, graph.name or place.stem, record.producer, opset,
        importer.independent, importer.answer.labels, importer.byte_input,
    )  # fmt: skip


def _checked(record: ModelRecord) -> tuple[GraphRecord, int]:
    """Return the graph and the opset version; raise `ModelError` if they are not supported."""
    opset = max(record.opsets.get("", 0), record.opsets.get("ai.onnx", 0))
    if record.graph is None or not record.opsets:
        raise ModelError(f"is not an ONNX file; {EXPECTED}")
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise ModelError(
            f"uses version {opset} of ONNX's operators; Opsin knows {MIN_OPSET} to {MAX_OPSET}: "
            "export it again with such an opset version"
        )
    return record.graph, opset


class Importer:
    """Converts one graph; it is the `Reader` of all its calls."""

    def __init__(self, record: GraphRecord, opset: int, arrays: Arrays) -> None:
        self.record, self.opset, self.arrays = record, opset, arrays
        self.folded = 0
        self.batch: int | None = None
        self.state: dict[str, NDArray[np.float32]] = {}
        self.layers: dict[str, str] = {}
        self.values: dict[str, Value] = {}
        self.failed: set[str] = set()
        self.problems: list[Problem] = []
        self.bytes: set[str] = set()
        """Names of values that are bytes, until they are cast."""
        self.byte_input = False
        self.answer = Answer("")
        self.independent = False
        self._variables: dict[ConstantValue, Tensor] = {}
        self._names, self._paths = Names(), Names()

    # -- what calls need ------------------------------------------------------------------------

    def variable(self, known: ConstantValue, trainable: bool) -> Tensor:
        if known not in self._variables:
            if known.array.size == 0:
                raise Unsupported("an operand without elements")
            name = self._names.unique(variable_name(known.name))
            with scope(""):
                self._variables[known] = variable(name, known.array.shape, trainable=trainable)
            self.state[name] = np.array(known.array, np.float32, order="C")
        return self._variables[known]

    def spend(self, elements: int) -> None:
        self.folded += elements
        if self.folded > MAX_FOLDED + self.arrays.size:
            raise Unsupported(f"calculating {elements:,} elements in advance, out of proportion to the file")

    def array(self, record: TensorRecord) -> Array:
        return self.arrays.read(record)

    # -- the graph ------------------------------------------------------------------------------

    def network(self, input_shape: tuple[int, int, int] | None, classifier: bool) -> Graph:
        """Return the whole graph; see `read`."""
        producer = producers(self.record)
        outputs = {value.name: value.name for value in self.record.outputs}
        if not outputs:
            raise ModelError("has no output")
        if classifier:
            number = number_in(self.record.initializers, producer, self.arrays.read)
            self.answer = find_answer(self.record.outputs, producer, number)
            outputs = {"logits": self.answer.name}
        inputs = [value for value in self.record.inputs if value.name not in self.record.initializers]
        nodes = needed(producer, {*self.record.initializers, *(v.name for v in inputs)}, list(outputs.values()))
        used = {*outputs.values(), *(name for node in nodes for name in node.inputs)}
        images = self._images([value for value in inputs if value.name in used], input_shape, classifier)
        with np.errstate(all="ignore"):
            for node in nodes:
                self._convert(node, used)
        if self.problems:
            raise report(self.problems, self.batch)
        results = {name: self._result(value) for name, value in outputs.items()}
        if classifier:
            results["logits"], self.independent = logits_of(_by_class(results["logits"]), self.answer)
        else:
            self._compare(results)
        return Graph((images,), results).verify()

    def _images(
        self, inputs: Sequence[ValueRecord], input_shape: tuple[int, int, int] | None, classifier: bool
    ) -> Tensor:
        """Return the graph's input, and add the file's view of it to the values, channels last if it expects that."""
        if len(inputs) != 1:
            names = ", ".join(shown(value.name) for value in inputs[:8]) or "none"
            raise ModelError(f"takes {len(inputs)} inputs ({names}); Opsin imports networks that take one, the images")
        (record,) = inputs
        if record.kind not in (*REAL, BYTE):
            raise ModelError(
                f"takes {KIND_NAMES.get(record.kind, 'unknown')} values in {shown(record.name)}; Opsin reads networks "
                "that take images as real numbers or as bytes (uint8): export it with such an input"
            )
        if record.kind == BYTE:
            self.bytes.add(record.name)
            self.byte_input = True
        dims = record.dims or (None, *[None] * 3)
        if classifier and len(dims) != 4:
            raise ModelError(f"takes {shown(record.name)} of {len(dims)} axes, not images, which have four")
        self.batch = dims[0]
        is_channels_last = (
            len(dims) == 4 and dims[3] in CHANNELS and all(d is None or d > max(CHANNELS) for d in dims[1:3])
        )
        sizes = (dims[3], *dims[1:3]) if is_channels_last else dims[1:]
        images = input_tensor("inputs", (BATCH, *_agreed(sizes, input_shape)))
        self._bounded(images)
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

    def _convert(self, node: NodeRecord, used: set[str]) -> None:
        """Add the results of `node` to the values, or a problem to the problems."""
        if node.domain not in ("", "ai.onnx") or node.op not in RULES.keys() | FOLDS.keys():
            self.problems.append(Problem(_operator(node), _node_name(node)))
            self.failed.update(node.outputs)
            return
        if not self.failed.isdisjoint(node.inputs):
            self.failed.update(node.outputs)
            return
        path = self._paths.unique(layer_path(_node_name(node)))
        try:
            self._follow_bytes(node)
            with scope(path):
                results = self._results(node)
                for name in node.outputs[len(results) :]:
                    if name in used:
                        raise Unsupported(f"its result {shown(name)}")
                for result in results:
                    self._bounded(result)
        except (Unsupported, ShapeError, GraphError, *INVALID) as error:
            reason = error.reason if isinstance(error, OpsinError) and error.layer == path else str(error)
            if isinstance(error, INVALID):
                reason = f"its operands or attributes make no sense ({reason[:200]})"
            self.problems.append(Problem(node.op, _node_name(node), reason))
            self.failed.update(node.outputs)
            return
        if any(isinstance(result, Tensor) for result in results):
            self.layers[path] = node.op
        self.values.update(zip(node.outputs, results, strict=False))

    def _follow_bytes(self, node: NodeRecord) -> None:
        """Raise `Unsupported` for arithmetic on bytes, which wraps at 256, unlike that on floats."""
        if node.op in ("Cast", "Shape", "Size") or self.bytes.isdisjoint(node.inputs):
            return
        if node.op not in BYTE_OPERATORS:
            raise Unsupported(
                "it calculates with bytes (uint8); cast the images to float32 before, and export it again"
            )
        self.bytes.update(node.outputs)

    def _results(self, node: NodeRecord) -> Sequence[Value]:
        rule, fold = RULES.get(node.op), FOLDS.get(node.op)
        call = OnnxCall(self, node, tuple(self._value(name) for name in node.inputs))
        operands = [value for value in call.inputs if value is not None]
        constants = [value for value in operands if isinstance(value, ConstantValue)]
        if fold and operands and len(constants) == len(operands):
            arrays = fold(call, [value.array for value in constants])
            results: Any = self._folded(node, constants, arrays if isinstance(arrays, list) else [arrays])
        elif rule:
            results = rule(call)
        else:
            raise Unsupported("its operands depend on the images")
        if unread := node.attributes.keys() - call.read_attributes:
            raise Unsupported(f"the attribute {shown(min(unread))}")
        return results if isinstance(results, list) else [results]

    def _folded(self, node: NodeRecord, known: Sequence[ConstantValue], arrays: Sequence[Array]) -> list[ConstantValue]:
        self.spend(sum(array.size for array in arrays))
        weight = any(value.weight for value in known)
        weight_name = known[0].name if node.op in LAYOUT and known[0].weight else None
        return [
            ConstantValue(tidy(np.asarray(array)), weight_name or name, weight)
            for array, name in zip(arrays, node.outputs, strict=False)
        ]

    def _bounded(self, value: Value) -> None:
        """Raise `Unsupported` for tensors larger than those of any network."""
        if isinstance(value, Tensor):
            sizes = bind(value.shape, 1)
            if value.rank > MAX_RANK or min(sizes, default=1) < 1 or math.prod(sizes) > MAX_ELEMENTS:
                raise Unsupported(f"a tensor of {show(value.shape)}")

    def _result(self, name: str) -> Tensor:
        value = self._value(name)
        if not isinstance(value, Tensor):
            raise ModelError(f"has an output {shown(name)} that does not depend on the images")
        return value

    def _compare(self, results: dict[str, Tensor]) -> None:
        """Raise `ModelError` unless the results have the shapes that the file declares."""
        for record in self.record.outputs:
            declared, shape = record.dims, results[record.name].shape
            if declared is None:
                continue
            sizes = bind(shape, self.batch or 1)
            first = 1 if self.batch is None else 0  # A free batch size is not compared.
            if len(declared) != len(sizes) or not _fit(declared[first:], sizes[first:]):
                raise ModelError(
                    f"says that its output {shown(record.name)} is {_dims(declared)}, but computes {show(shape)}"
                )


def _node_name(node: NodeRecord) -> str:
    """Return a node's name, or that of its first result if it has none."""
    return node.name or next(filter(None, node.outputs))


def _operator(node: NodeRecord) -> str:
    return node.op if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op}"


def _by_class(logits: Tensor) -> Tensor:
    """Return `logits` as N × classes."""
    sizes = [size for size in logits.shape[1:] if size != 1]
    if not logits.rank or logits.shape[0] != BATCH or len(sizes) > 1:
        raise ModelError(
            f"gives {logits.type}, not one number for each class of an image; "
            "opsin.interop.onnx.read gives the graph of such a network"
        )
    return ops.reshape(logits, (BATCH, *(sizes or [1])))


def _agreed(sizes: Sequence[int | None], input_shape: tuple[int, int, int] | None) -> Shape:
    """Return the sizes of an image, from the file or from the caller; raise `ModelError` if they differ."""
    if input_shape is None:
        fixed = [size for size in sizes if size is not None]
        if len(fixed) < len(sizes):
            raise ModelError(
                f"leaves the size of its images free ({_dims(sizes)}); "
                "choose one in Python, such as opsin.import_onnx(…, input_shape=(3, 224, 224))"
            )
        return tuple(fixed)
    if len(input_shape) != len(sizes) or not _fit(sizes, input_shape) or min(input_shape) < 1:
        raise ModelError(f"takes images of {_dims(sizes)}, not {show(input_shape)}")
    return input_shape


def _fit(declared: Sequence[int | None], sizes: Sequence[int]) -> bool:
    """Whether `sizes` are those `declared`, except for free ones."""
    return all(expected in (None, size) for expected, size in zip(declared, sizes, strict=True))


def _dims(sizes: Sequence[int | None]) -> str:
    return " × ".join("?" if size is None else str(size) for size in sizes)
