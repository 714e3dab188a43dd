"""The outputs of a classifier in an ONNX file, logits or probabilities, converted to logits.

Softmax of the logits gives the probabilities of the file. A final softmax is therefore removed, and so is the sigmoid
of a single output, which becomes two classes with logits 0 and z. Several sigmoids are not a distribution: they are
probabilities of labels that an image may have together (multi-label classification), each with a logit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opsin import ops
from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import NodeRecord, TensorRecord, ValueRecord
from opsin.interop.onnx.tensors import REAL
from opsin.interop.onnx.wire import shown
from opsin.ir import BATCH, Tensor

LAYOUT = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that change the layout of a value, and not the value."""

SELECTIONS = ("Gather", "Slice", "Split", "Concat")
"""Operators that select or join values, so that values from 0 to 1 remain in that range."""

LOGITS, DISTRIBUTION, SHARES, LOGARITHMS = "logits", "distribution", "shares", "logarithms"
"""Any floats; probabilities that add up to 1; probabilities, each from 0 to 1; their logarithms."""

MIN_PROBABILITY = 1e-30
"""Lower bound of a probability before its logarithm is taken."""

MAX_DEPTH = 20
"""Operators that are inspected, counted from the output."""

Number = Callable[[str], "float | None"]
"""Returns the value of a name if it is one constant number."""


@dataclass
class Answer:
    """The name of the output, the kind of its values without the last activation, and the names of its classes."""

    name: str
    kind: str = LOGITS
    sigmoid: bool = False
    """Whether the removed activation is a sigmoid."""
    labels: tuple[str, ...] | None = None


def find_answer(outputs: Sequence[ValueRecord], producer: dict[str, NodeRecord], number: Number) -> Answer:
    """Return the first output of a classifier that holds floats; others hold the most probable class.

    A final softmax or sigmoid becomes an `Identity` in `producer`.
    """
    real = [value for value in outputs if value.kind in (0, *REAL)]
    if not real:
        names = ", ".join(shown(value.name) for value in outputs[:8])
        raise ModelError(f"gives no probabilities, only whole numbers or text ({names}); export it with its scores")
    name, labels = real[0].name, None
    node = producer.get(name)
    if node and node.op == "ZipMap" and node.domain == "ai.onnx.ml" and node.inputs:  # scikit-learn's exporter
        name, labels = node.inputs[0], _labels(node)
    last = _source(name, producer)
    if last and last.op in ("Softmax", "Sigmoid") and last.inputs:
        producer.update(dict.fromkeys(last.outputs, _identity(last)))
        return Answer(name, sigmoid=last.op == "Sigmoid", labels=labels)
    return Answer(name, _kind(name, producer, number, MAX_DEPTH), labels=labels)


def _identity(node: NodeRecord) -> NodeRecord:
    return NodeRecord("Identity", node.name, "", node.inputs[:1], node.outputs)


def _labels(node: NodeRecord) -> tuple[str, ...] | None:
    for key in ("classlabels_strings", "classlabels_int64s"):
        names = node.attributes.get(key)
        if isinstance(names, tuple) and names:
            return tuple(map(str, names))
    return None


def _source(name: str, producer: Mapping[str, NodeRecord]) -> NodeRecord | None:
    """Return the node that computes the value `name`, skipping changes of layout."""
    node = producer.get(name)
    for _ in producer:
        if node is None or node.op not in LAYOUT or not node.inputs:
            return node
        node = producer.get(node.inputs[0])
    return node


def _kind(name: str, producer: Mapping[str, NodeRecord], number: Number, depth: int) -> str:
    """Return the kind of a value, as far as its last operators tell."""
    node = _source(name, producer)
    if node is None or not depth or not node.inputs:
        return LOGITS
    if node.op == "Softmax":
        return DISTRIBUTION
    if node.op in ("Sigmoid", "HardSigmoid"):
        return SHARES
    if node.op == "Log":
        before = _kind(node.inputs[0], producer, number, depth - 1)
        return LOGARITHMS if before == SHARES else LOGITS  # Softmax inverts the logarithm of a distribution.
    if node.op in ("Div", "Reciprocal") and len(node.inputs) == (2 if node.op == "Div" else 1):
        return _quotient(node, producer, number)
    if node.op == "Concat" and _both_sides(node.inputs, producer, number, depth):
        return DISTRIBUTION
    if node.op == "Clip":
        return _clipped(node, producer, number, depth)
    if node.op == "Mean" or node.op in SELECTIONS:
        kinds = {_kind(operand, producer, number, depth - 1) for operand in node.inputs[: None if _all(node) else 1]}
        if kinds == {DISTRIBUTION} and node.op == "Mean":
            return DISTRIBUTION
        return SHARES if kinds <= {SHARES, DISTRIBUTION} else LOGITS
    if node.op == "Sub" and number(node.inputs[0]) == 1:
        shares = _kind(node.inputs[-1], producer, number, depth - 1) in (SHARES, DISTRIBUTION)
        return SHARES if shares else LOGITS
    return LOGITS


def _quotient(node: NodeRecord, producer: Mapping[str, NodeRecord], number: Number) -> str:
    """Recognise softmax and sigmoid written as operators: eᵃ / Σ eᵃ, and 1 / (1 + eᵃ)."""
    above, below = _source(node.inputs[0], producer), _source(node.inputs[-1], producer)
    if below is None:
        return LOGITS
    inside = [_source(name, producer) for name in below.inputs]
    one = node.op == "Reciprocal" or number(node.inputs[0]) == 1
    if (
        one
        and below.op == "Add"
        and 1 in map(number, below.inputs)
        and any(term and term.op == "Exp" for term in inside)
    ):
        return SHARES
    if above and above.op == "Exp" and below.op == "ReduceSum" and inside[:1]:
        summed = inside[0]
        return DISTRIBUTION if summed and summed.op == "Exp" and summed.inputs == above.inputs else LOGITS
    return LOGITS


def _all(node: NodeRecord) -> bool:
    """Whether all operands are values, and not indices."""
    return node.op in ("Concat", "Mean")


def _clipped(node: NodeRecord, producer: Mapping[str, NodeRecord], number: Number, depth: int) -> str:
    before = _kind(node.inputs[0], producer, number, depth - 1)
    if before != LOGITS:
        return before
    limits = [node.attributes.get("min"), node.attributes.get("max")]
    for index, operand in enumerate(node.inputs[1:3]):
        limits[index] = number(operand) if operand else limits[index]
    low, high = limits
    bounded = isinstance(low, int | float) and isinstance(high, int | float) and low >= 0 and high <= 1
    return SHARES if bounded else LOGITS


def _both_sides(names: Sequence[str], producer: Mapping[str, NodeRecord], number: Number, depth: int) -> bool:
    """Whether two values are p and 1 - p, in either order."""
    if len(names) != 2:
        return False
    for one, other in (names, names[::-1]):
        node, share = _source(one, producer), _source(other, producer)
        if not node or not share or node.op != "Sub" or number(node.inputs[0]) != 1:
            continue
        if _source(node.inputs[-1], producer) is share and _kind(other, producer, number, depth - 1) == SHARES:
            return True
    return False


def number_in(
    records: Mapping[str, TensorRecord], producer: Mapping[str, NodeRecord], read: Callable[[TensorRecord], object]
) -> Number:
    """Return a function that reads single numbers among a file's weights and constants."""

    def number(name: str) -> float | None:
        node = producer.get(name)
        record = records.get(name) or (node.attributes.get("value") if node and node.op == "Constant" else None)
        if not isinstance(record, TensorRecord):
            return None
        array = read(record)
        return float(array.reshape(-1)[0]) if array.size == 1 else None  # type: ignore[attr-defined]

    return number


def logits_of(values: Tensor, answer: Answer) -> tuple[Tensor, bool]:
    """Return the logits of the file's output, N × classes, and whether each belongs into a sigmoid of its own."""
    single = values.shape[1] == 1
    if answer.kind == LOGITS:
        if single:
            return ops.concat([ops.broadcast_to(ops.constant(0.0), (BATCH, 1)), values], 1), False
        return values, answer.sigmoid
    if answer.kind == DISTRIBUTION and not single:
        return _log(values), False
    logarithms = values if answer.kind == LOGARITHMS else _log(values)
    shares = ops.exp(values) if answer.kind == LOGARITHMS else values
    without = _log(ops.subtract(1.0, shares))
    if single:
        return ops.concat([without, logarithms], 1), False
    return ops.subtract(logarithms, without), True


def _log(shares: Tensor) -> Tensor:
    return ops.log(ops.maximum(shares, MIN_PROBABILITY))
