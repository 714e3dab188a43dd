"""Conversion of the output of a classifier in an ONNX file, logits or probabilities, to logits.

Softmax of the logits gives the probabilities of the file. A final softmax is therefore removed, and so is the sigmoid
of a single output, which becomes two classes with the logits 0 and z. Several sigmoids are not a distribution: the
network is a multi-label classifier, and each label has its own logit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opsin import ops
from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import NodeRecord, TensorRecord, ValueRecord
from opsin.interop.onnx.tensors import FLOAT_TYPES
from opsin.interop.onnx.wire import quote_name
from opsin.ir import BATCH, Tensor

LAYOUT_OPERATORS = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that change only the layout of a value."""

SELECTION_OPERATORS = ("Gather", "Slice", "Split", "Concat")
"""Operators that select or join elements; elements between 0 and 1 stay in this range."""

LOGITS, DISTRIBUTION = "logits", "distribution"
PROBABILITIES, LOG_PROBABILITIES = "probabilities", "log probabilities"
"""Kinds of values: any floats; probabilities with the sum 1; independent probabilities; their logarithms."""

MIN_PROBABILITY = 1e-30
"""Lower bound of a probability before its logarithm is computed."""

MAX_DEPTH = 20
"""Limit of the operators that are inspected, counted from the output."""

ConstantLookup = Callable[[str], "float | None"]
"""Returns the value of a name if it is a constant scalar, otherwise None."""


@dataclass
class ClassifierOutput:
    """The output of a classifier: its name, the kind of its values, and the names of its classes.

    The kind is that before the last softmax or sigmoid, which is removed.
    """

    name: str
    kind: str = LOGITS
    removed: str = ""
    """The operator of the activation that is removed: "Softmax", "Sigmoid" or none."""
    labels: tuple[str, ...] | None = None


def find_classifier_output(
    outputs: Sequence[ValueRecord], producer: dict[str, NodeRecord], number: ConstantLookup
) -> ClassifierOutput:
    """Return the first output with floats; other outputs of classifiers give the most probable class.

    A final softmax or sigmoid is replaced by an `Identity` in `producer`. Raise `ModelError` if no output has floats.
    """
    float_outputs = [value for value in outputs if value.elem_type in (0, *FLOAT_TYPES)]
    if not float_outputs:
        names = ", ".join(quote_name(value.name) for value in outputs[:8])
        raise ModelError(f"outputs no probabilities, only integers or strings ({names}); export it with its scores")
    name, labels = float_outputs[0].name, None
    node = producer.get(name)
    if node and node.op == "ZipMap" and node.domain == "ai.onnx.ml" and node.inputs:  # scikit-learn's exporter
        name, labels = node.inputs[0], _class_labels(node)
    last_node = _source(name, producer)
    if last_node and last_node.op in ("Softmax", "Sigmoid") and last_node.inputs:
        producer.update(dict.fromkeys(last_node.outputs, _to_identity(last_node)))
        return ClassifierOutput(name, removed=last_node.op, labels=labels)
    return ClassifierOutput(name, _kind(name, producer, number, MAX_DEPTH), labels=labels)


def _to_identity(node: NodeRecord) -> NodeRecord:
    return NodeRecord("Identity", node.name, "", node.inputs[:1], node.outputs)


def _class_labels(node: NodeRecord) -> tuple[str, ...] | None:
    for key in ("classlabels_strings", "classlabels_int64s"):
        names = node.attributes.get(key)
        if isinstance(names, tuple) and names:
            return tuple(map(str, names))
    return None


def _source(name: str, producer: Mapping[str, NodeRecord]) -> NodeRecord | None:
    """Return the node that computes the value `name`, ignoring changes of layout."""
    node = producer.get(name)
    for _ in producer:
        if node is None or node.op not in LAYOUT_OPERATORS or not node.inputs:
            return node
        node = producer.get(node.inputs[0])
    return node


def _kind(name: str, producer: Mapping[str, NodeRecord], number: ConstantLookup, depth: int) -> str:
    """Return the kind of a value, according to its last operators."""
    node = _source(name, producer)
    if node is None or not depth or not node.inputs:
        return LOGITS
    if node.op == "Softmax":
        return DISTRIBUTION
    if node.op in ("Sigmoid", "HardSigmoid"):
        return PROBABILITIES
    if node.op == "Log":
        operand_kind = _kind(node.inputs[0], producer, number, depth - 1)
        # Softmax inverts the logarithm of a distribution, which therefore counts as logits.
        return LOG_PROBABILITIES if operand_kind == PROBABILITIES else LOGITS
    if node.op in ("Div", "Reciprocal") and len(node.inputs) == (2 if node.op == "Div" else 1):
        return _quotient_kind(node, producer, number)
    if node.op == "Concat" and _are_complements(node.inputs, producer, number, depth):
        return DISTRIBUTION
    if node.op == "Clip":
        return _clip_kind(node, producer, number, depth)
    if node.op == "Mean" or node.op in SELECTION_OPERATORS:
        operands = node.inputs if node.op in ("Concat", "Mean") else node.inputs[:1]  # The others are indices.
        kinds = {_kind(operand, producer, number, depth - 1) for operand in operands}
        if kinds == {DISTRIBUTION} and node.op == "Mean":
            return DISTRIBUTION
        return PROBABILITIES if kinds <= {PROBABILITIES, DISTRIBUTION} else LOGITS
    if node.op == "Sub" and number(node.inputs[0]) == 1:
        operand_kind = _kind(node.inputs[-1], producer, number, depth - 1)
        return PROBABILITIES if operand_kind in (PROBABILITIES, DISTRIBUTION) else LOGITS
    return LOGITS


def _quotient_kind(node: NodeRecord, producer: Mapping[str, NodeRecord], number: ConstantLookup) -> str:
    """Return the kind of a quotient: softmax and sigmoid may be decomposed to eᵃ / Σ eᵃ and 1 / (1 + eᵃ)."""
    numerator, denominator = _source(node.inputs[0], producer), _source(node.inputs[-1], producer)
    if denominator is None:
        return LOGITS
    terms = [_source(name, producer) for name in denominator.inputs]
    is_reciprocal = node.op == "Reciprocal" or number(node.inputs[0]) == 1
    if (
        is_reciprocal
        and denominator.op == "Add"
        and 1 in map(number, denominator.inputs)
        and any(term and term.op == "Exp" for term in terms)
    ):
        return PROBABILITIES
    if numerator and numerator.op == "Exp" and denominator.op == "ReduceSum" and terms:
        operand = terms[0]
        return DISTRIBUTION if operand and operand.op == "Exp" and operand.inputs == numerator.inputs else LOGITS
    return LOGITS


def _clip_kind(node: NodeRecord, producer: Mapping[str, NodeRecord], number: ConstantLookup, depth: int) -> str:
    operand_kind = _kind(node.inputs[0], producer, number, depth - 1)
    if operand_kind != LOGITS:
        return operand_kind
    bounds = [node.attributes.get("min"), node.attributes.get("max")]
    for index, operand in enumerate(node.inputs[1:3]):
        bounds[index] = number(operand) if operand else bounds[index]
    low, high = bounds
    is_probability = isinstance(low, int | float) and isinstance(high, int | float) and low >= 0 and high <= 1
    return PROBABILITIES if is_probability else LOGITS


def _are_complements(
    names: Sequence[str], producer: Mapping[str, NodeRecord], number: ConstantLookup, depth: int
) -> bool:
    """Return whether the values are p and 1 - p, in either order, for a probability p."""
    if len(names) != 2:
        return False
    for one, other in (names, names[::-1]):
        node, probability = _source(one, producer), _source(other, producer)
        if not node or not probability or node.op != "Sub" or number(node.inputs[0]) != 1:
            continue
        if (
            _source(node.inputs[-1], producer) is probability
            and _kind(other, producer, number, depth - 1) == PROBABILITIES
        ):
            return True
    return False


def constant_lookup(
    records: Mapping[str, TensorRecord], producer: Mapping[str, NodeRecord], read: Callable[[TensorRecord], object]
) -> ConstantLookup:
    """Return a function that looks up scalars among the initializers and constants of a file."""

    def number(name: str) -> float | None:
        node = producer.get(name)
        record = records.get(name) or (node.attributes.get("value") if node and node.op == "Constant" else None)
        if not isinstance(record, TensorRecord):
            return None
        array = read(record)
        return float(array.reshape(-1)[0]) if array.size == 1 else None  # type: ignore[attr-defined]

    return number


def to_logits(values: Tensor, output: ClassifierOutput) -> tuple[Tensor, bool]:
    """Return the logits, N × classes, and whether the classes are independent labels with a sigmoid each.

    `values` is the output of the file, N × classes.
    """
    is_single = values.shape[1] == 1
    if output.kind == LOGITS:
        if is_single:
            return ops.concat([ops.broadcast_to(ops.constant(0.0), (BATCH, 1)), values], 1), False
        return values, output.removed == "Sigmoid"
    if output.kind == DISTRIBUTION and not is_single:
        return _log(values), False
    log_p = values if output.kind == LOG_PROBABILITIES else _log(values)
    p = ops.exp(values) if output.kind == LOG_PROBABILITIES else values
    log_complement = _log(ops.subtract(1.0, p))
    if is_single:
        return ops.concat([log_complement, log_p], 1), False
    return ops.subtract(log_p, log_complement), True


def conversion(output: ClassifierOutput, is_single: bool) -> str:
    """Return in a sentence how `to_logits` changed the outputs of the file; "" if it did not."""
    what = f"ends with a {output.removed.lower()}, which was removed" if output.removed else ""
    if output.kind == LOG_PROBABILITIES:
        what = "gives logarithms of probabilities"
    elif output.kind != LOGITS:
        what = "gives probabilities"
    elif is_single and not what:
        what = "has one output, a logit"
    if not what:
        return ""
    result = "the logits" if output.kind == LOGITS else "logits that mean the same"
    return f"The ONNX file {what}: the network here gives {result}{' of two classes' if is_single else ''}."


def _log(probabilities: Tensor) -> Tensor:
    return ops.log(ops.maximum(probabilities, MIN_PROBABILITY))
