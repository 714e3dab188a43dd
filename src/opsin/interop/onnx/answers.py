"""What a classifier's file answers with: logits, or shares from 0 to 1; and logits for each of them.

Softmax of the logits gives the file's own probabilities: the softmax that ends a file is left out, and so is the
sigmoid of a single output, which becomes two classes, 0 and z. Several sigmoids are no distribution: they are
probabilities of labels that an image may have together, so that their logits belong into a sigmoid each.
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
"""Operators after which a value is still that value."""

PARTS = ("Gather", "Slice", "Split", "Concat")
"""Operators after which values from 0 to 1 still are such."""

LOGITS, DISTRIBUTION, SHARES, LOGARITHMS = "logits", "distribution", "shares", "logarithms"
"""Any real numbers; shares that add up to 1; shares, each from 0 to 1; their logarithms."""

TINY = 1e-30
"""What is added up to 1 is no less than this for its logarithm."""

DEPTH = 20
"""So many operators are looked at from the end on."""

Number = Callable[[str], "float | None"]
"""The value of a name, where it is one known number."""


@dataclass
class Answer:
    """The output's name, what its numbers are after the last activation was left out, and the names of its classes."""

    name: str
    kind: str = LOGITS
    sigmoid: bool = False
    """Whether the activation that was left out is a sigmoid."""
    labels: tuple[str, ...] | None = None


def find_answer(outputs: Sequence[ValueRecord], made: dict[str, NodeRecord], number: Number) -> Answer:
    """The answer among a classifier's outputs: the first of real numbers, as others hold the likeliest class.

    The softmax or sigmoid that ends it becomes an `Identity` in `made`.
    """
    real = [value for value in outputs if value.kind in (0, *REAL)]
    if not real:
        names = ", ".join(shown(value.name) for value in outputs[:8])
        raise ModelError(f"gives no probabilities, only whole numbers or text ({names}); export it with its scores")
    name, labels = real[0].name, None
    node = made.get(name)
    if node and node.op == "ZipMap" and node.domain == "ai.onnx.ml" and node.inputs:  # scikit-learn's exporter
        name, labels = node.inputs[0], _labels(node)
    last = _behind(name, made)
    if last and last.op in ("Softmax", "Sigmoid") and last.inputs:
        found = Answer(name, sigmoid=last.op == "Sigmoid", labels=labels)
        made.update(dict.fromkeys(last.outputs, _identity(last)))
        return found
    return Answer(name, _kind(name, made, number, DEPTH), labels=labels)


def _identity(node: NodeRecord) -> NodeRecord:
    return NodeRecord("Identity", node.name, "", node.inputs[:1], node.outputs)


def _labels(node: NodeRecord) -> tuple[str, ...] | None:
    for key in ("classlabels_strings", "classlabels_int64s"):
        given = node.attributes.get(key)
        if isinstance(given, tuple) and given:
            return tuple(map(str, given))
    return None


def _behind(name: str, made: Mapping[str, NodeRecord]) -> NodeRecord | None:
    """The node that makes the value `name`, but for its shape."""
    node = made.get(name)
    for _ in made:
        if node is None or node.op not in LAYOUT or not node.inputs:
            return node
        node = made.get(node.inputs[0])
    return node


def _kind(name: str, made: Mapping[str, NodeRecord], number: Number, depth: int) -> str:
    """What the numbers of a value are, as far as its last operators tell."""
    node = _behind(name, made)
    if node is None or not depth or not node.inputs:
        return LOGITS
    if node.op == "Softmax":
        return DISTRIBUTION
    if node.op in ("Sigmoid", "HardSigmoid"):
        return SHARES
    if node.op == "Log":
        before = _kind(node.inputs[0], made, number, depth - 1)
        return LOGARITHMS if before == SHARES else LOGITS  # softmax takes back the logarithm of a distribution
    if node.op in ("Div", "Reciprocal") and len(node.inputs) == (2 if node.op == "Div" else 1):
        return _quotient(node, made, number)
    if node.op == "Concat" and _both_sides(node.inputs, made, number, depth):
        return DISTRIBUTION
    if node.op == "Clip":
        return _clipped(node, made, number, depth)
    if node.op == "Mean" or node.op in PARTS:
        kinds = {_kind(operand, made, number, depth - 1) for operand in node.inputs[: None if _all(node) else 1]}
        if kinds == {DISTRIBUTION} and node.op == "Mean":
            return DISTRIBUTION
        return SHARES if kinds <= {SHARES, DISTRIBUTION} else LOGITS
    if node.op == "Sub" and number(node.inputs[0]) == 1:
        shares = _kind(node.inputs[-1], made, number, depth - 1) in (SHARES, DISTRIBUTION)
        return SHARES if shares else LOGITS
    return LOGITS


def _quotient(node: NodeRecord, made: Mapping[str, NodeRecord], number: Number) -> str:
    """Softmax and sigmoid in their parts: eᵃ / Σ eᵃ, and 1 / (1 + eᵃ)."""
    above, below = _behind(node.inputs[0], made), _behind(node.inputs[-1], made)
    if below is None:
        return LOGITS
    inside = [_behind(name, made) for name in below.inputs]
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


def _clipped(node: NodeRecord, made: Mapping[str, NodeRecord], number: Number, depth: int) -> str:
    before = _kind(node.inputs[0], made, number, depth - 1)
    if before != LOGITS:
        return before
    limits = [node.attributes.get("min"), node.attributes.get("max")]
    for place, operand in enumerate(node.inputs[1:3]):
        limits[place] = number(operand) if operand else limits[place]
    low, high = limits
    bounded = isinstance(low, int | float) and isinstance(high, int | float) and low >= 0 and high <= 1
    return SHARES if bounded else LOGITS


def _both_sides(names: Sequence[str], made: Mapping[str, NodeRecord], number: Number, depth: int) -> bool:
    """Whether two values are p and 1 - p, in either order."""
    if len(names) != 2:
        return False
    for one, other in (names, names[::-1]):
        node, share = _behind(one, made), _behind(other, made)
        if not node or not share or node.op != "Sub" or number(node.inputs[0]) != 1:
            continue
        if _behind(node.inputs[-1], made) is share and _kind(other, made, number, depth - 1) == SHARES:
            return True
    return False


def number_in(
    records: Mapping[str, TensorRecord], made: Mapping[str, NodeRecord], read: Callable[[TensorRecord], object]
) -> Number:
    """Reads single numbers among a file's weights and constants."""

    def number(name: str) -> float | None:
        node = made.get(name)
        given = records.get(name) or (node.attributes.get("value") if node and node.op == "Constant" else None)
        if not isinstance(given, TensorRecord):
            return None
        array = read(given)
        return float(array.reshape(-1)[0]) if array.size == 1 else None  # type: ignore[attr-defined]

    return number


def logits_of(values: Tensor, answer: Answer) -> tuple[Tensor, bool]:
    """From N × classes as the file gives them to logits, and whether each belongs into a sigmoid of its own."""
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
    return ops.log(ops.maximum(shares, TINY))
