"""The softmax behind a network, as a step of its own: classifiers end with logits, and the answer is computed later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin import ops
from opsin.explain.arithmetic.orders import Order, find_orders
from opsin.explain.observer import Floats, Observer
from opsin.explain.stages import Step
from opsin.ir import BATCH, Graph, Tensor, input_tensor, topological


@dataclass(frozen=True, eq=False)
class Softmax:
    """The step, the values of all its tensors for some images (N × classes or N × 1), and how they were summed."""

    step: Step
    values: dict[Tensor, Floats]
    orders: dict[Tensor, Order | None]


def softmax_of(observer: Observer, logits: Floats) -> Softmax:
    """Return e^x / Σ e^x for `logits`, N × classes, as the engine computes it.

    The operations are those of `ops.softmax`, without the one that only gradients need.
    """
    inputs = input_tensor("logits", (BATCH, logits.shape[1]))
    powers = ops.exp(ops.subtract(inputs, ops.max(inputs, 1, keepdims=True)))
    result = ops.divide(powers, ops.sum(powers, 1, keepdims=True))
    nodes = [node for node in topological([result]) if node is not inputs.node]
    tensors = [inputs, *(node.output for node in nodes)]
    names = [f"tensor{number}" for number in range(len(tensors))]
    program = observer.compiled(Graph((inputs,), dict(zip(names, tensors, strict=True))), 1)
    runs = [program.run(logits=row[None]) for row in logits]
    values = {t: np.concatenate([run[name] for run in runs]) for name, t in zip(names, tensors, strict=True)}
    step = Step("softmax", "softmax", "", tuple(nodes))
    return Softmax(step, values, dict(zip(tensors, find_orders(program, names), strict=True)))
