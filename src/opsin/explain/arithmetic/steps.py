"""One number of a network, step by step: its window, its terms, every partial sum, and the functions that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.compiler.simplify import constant_value
from opsin.explain.arithmetic.evaluate import (
    CARRIED,
    FUNCTIONS,
    MAXIMA,
    SUMS,
    at_places,
    evaluate,
    reciprocals,
    summed,
    window_terms,
)
from opsin.explain.arithmetic.float32 import Floats
from opsin.explain.arithmetic.orders import Order
from opsin.explain.arithmetic.sums import Total
from opsin.explain.arithmetic.terms import Terms
from opsin.explain.arithmetic.words import operation_words
from opsin.explain.observer import Observer
from opsin.explain.stages import Step
from opsin.ir import Node, Tensor, bind

ARITHMETIC = SUMS | MAXIMA | CARRIED | frozenset(FUNCTIONS) | {"power"}
"""Operations that compute; the others rearrange."""


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation at one place of its result, (channel, row, column) or (number,).

    `engine` is the engine's result. `computed` is that of the steps shown here: bit-identical if the order of the sum
    is described (see `words`), and None if the engine approximates a function. Sums have `terms` (arrays of
    terms × 1), `partial` sums after each term, and the `lanes` that are added at the end; `factor` multiplies the sum
    of an average pooling. The maximum is that of term number `winner`. Other operations have `operands`.
    """

    node: Node
    name: str
    place: tuple[int, ...]
    words: str
    engine: np.float32
    computed: np.float32 | None
    operands: tuple[np.float32, ...] = ()
    terms: Terms | None = None
    partial: Floats | None = None
    lanes: Floats | None = None
    factor: np.float32 | None = None
    winner: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the steps give the engine's bits; true for results that are the engine's own."""
        return self.computed is None or self.computed.tobytes() == self.engine.tobytes()

    @property
    def gap(self) -> float:
        """The difference between the result of the steps and the engine's."""
        return 0.0 if self.computed is None else float(self.computed) - float(self.engine)


@dataclass(frozen=True, eq=False)
class StepValue:
    """A number that a step of a network computes for an image; `operations` are in their order."""

    step: Step
    place: tuple[int, ...]
    operations: tuple[Operation, ...]

    @property
    def is_exact(self) -> bool:
        return all(operation.is_exact for operation in self.operations)


def steps_of(observer: Observer, pixels: NDArray[np.uint8], step: Step, place: Sequence[int]) -> StepValue:
    """Return how `step` computes its output at `place` for an image, uint8 C×H×W.

    `place` is (channel, row, column), or (number,) for a fully connected layer. Operations behind one that mixes
    places, such as a pooling of squares, are shown at the same place. Raise `UsageError` if `place` is outside.
    """
    nodes = [node for node in step.nodes if node.op.name in ARITHMETIC]
    tensors = list(dict.fromkeys(t for node in nodes for t in (*node.inputs, node.output) if constant_value(t) is None))
    shape = bind(step.output.shape[1:], 1)
    if len(place) != len(shape) or any(not 0 <= i < n for i, n in zip(place, shape, strict=True)):
        raise UsageError(f"the place {tuple(place)} is outside the output of '{step.name}', {shape}; give one inside")
    values = dict(zip(tensors, observer.run(pixels[None], tensors), strict=True))
    orders = observer.orders(1, tensors)
    operations = tuple(_operation(node, values, orders.get(node.output), (0, *place)) for node in nodes)
    return StepValue(step, tuple(place), operations)


def _operation(node: Node, values: dict[Tensor, Floats], order: Order | None, place: tuple[int, ...]) -> Operation:
    inputs = [values[t] if t in values else np.asarray(constant_value(t), np.float32) for t in node.inputs]
    result = values[node.output]
    own_place = tuple(0 if size == 1 else i for i, size in zip(place, result.shape, strict=True))
    places = np.array([own_place])
    engine = np.float32(result[own_place])
    terms, total = _sum(node, inputs, places, order)
    if total is not None:
        computed: Floats | None = total.result
    else:
        computed = evaluate(node, inputs, places, order)
    is_single = terms is None
    return Operation(
        node,
        node.op.name,
        own_place[1:],
        operation_words(node, order, terms),
        engine,
        None if computed is None else np.float32(computed[0]),
        tuple(np.float32(at_places(x, places)[0]) for x in inputs) if is_single else (),
        terms,
        None if total is None else np.array(total.partial)[:, 0],
        None if total is None else np.array(total.lanes)[:, 0],
        np.float32(reciprocals(node, inputs[0], places)[0]) if node.op.name == "avg_pool2d" else None,
        _winner(terms) if terms is not None and node.op.name in MAXIMA else None,
    )


def _sum(
    node: Node, inputs: Sequence[Floats], places: NDArray[np.int64], order: Order | None
) -> tuple[Terms | None, Total | None]:
    if node.op.name in MAXIMA:
        return window_terms(node, inputs, places), None
    return summed(node, inputs, places, order) if node.op.name in SUMS else (None, None)


def _winner(terms: Terms) -> int:
    """Return the first of the largest terms."""
    return int(np.where(terms.inside, terms.left, -np.inf)[:, 0].argmax())
