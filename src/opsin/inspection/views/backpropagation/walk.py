"""Backpropagation as data of the page: what each step does, with maps and one element in numbers."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from opsin.explain.backpropagation.backward import Floats
from opsin.explain.backpropagation.chain import BackwardStep, Chain
from opsin.inspection.page.arrays import FLOAT_BYTES, Arrays
from opsin.inspection.spread import evenly
from opsin.inspection.views.backpropagation.selection import channels_within, largest
from opsin.tasks.probabilities import softmax

MAX_SHARES = 6
"""Terms of an example that are listed."""
MAX_VECTOR = 512
"""Values of a vector that are shown."""
MAX_SIDE_VALUES = 56 * 56
"""Values of a map that is shown if there is no space for all steps."""
MAX_DETAILED = 800
"""Steps with a worked example and the lines of the graph; in longer networks, they are spread evenly."""
MAX_CLASSES = 12
"""Classes in the table of the loss."""


def loss_table(chain: Chain, labels: list[str]) -> list[dict[str, Any]]:
    """Return for the classes with the largest gradients: label, probability p, target y, and the gradient δ."""
    values, target = chain.values, chain.values.case.target
    if target.label is None:
        return []
    output = next(iter(chain.steps[0].sources))
    p, delta = softmax(values.values[output][0]), values.gradients[output][0]
    order = np.argsort(-np.abs(delta), kind="stable")[:MAX_CLASSES]
    return [
        {"label": labels[n], "p": float(p[n]), "y": int(n == target.label), "delta": float(delta[n])} for n in order
    ]


def walk(chain: Chain, arrays: Arrays, budget: int) -> list[dict[str, Any]]:
    """Return the steps from the loss to the image, with as many maps of gradients as fit into `budget` bytes."""
    shapes = [chain.values.gradients[step.output].shape[1:] for step in chain.steps[1:]]
    sizes = [prod(shape[1:]) if len(shape) > 1 else 0 for shape in shapes]
    count, limit = channels_within(sizes, budget), max(sizes, default=0)
    if not count:
        count, limit = 1, MAX_SIDE_VALUES
        while FLOAT_BYTES * sum(size for size in sizes if size <= limit) > budget:
            limit //= 2
    detailed = set(evenly(len(chain.steps), MAX_DETAILED))
    return [_step(chain, step, arrays, count, limit, n in detailed) for n, step in enumerate(chain.steps)]


def _step(
    chain: Chain, step: BackwardStep, arrays: Arrays, count: int, limit: int, is_detailed: bool
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "stage": step.stage.number if step.stage else None, "name": step.name, "sentence": step.sentence,
        "lines": list(step.lines) if is_detailed else [], "number": chain.numbers[step],
        "sources": sorted(chain.numbers[other] for other in chain.computing(step.sources)),
    }  # fmt: skip
    if step.stage is not None:
        data["maps"] = _maps(chain.values.gradients[step.output][0], arrays, count, limit)
        data["example"] = _example(chain, step) if is_detailed else None
    return data


def _maps(gradient: Floats, arrays: Arrays, count: int, limit: int) -> dict[str, Any] | None:
    """Return the maps of the channels with the largest gradients, or a vector; None if there is no space."""
    if gradient.ndim == 1:
        places = largest(np.abs(gradient), MAX_VECTOR)
        return {"count": len(gradient), "channels": list(places), "vector": arrays.add(gradient[list(places)])}
    if gradient.ndim != 3 or gradient[0].size > limit:
        return None
    channels = largest(np.abs(gradient).sum(axis=(1, 2)), count)
    return {"count": len(gradient), "channels": list(channels), "maps": [arrays.add(gradient[c]) for c in channels]}


def _example(chain: Chain, step: BackwardStep) -> dict[str, Any] | None:
    example = chain.example(step)
    if example is None:
        return None
    order = sorted(example.shares, key=lambda share: -abs(share.product))
    return {
        "place": list(example.place), "value": example.value, "gradient": example.gradient,
        "total": example.total, "count": len(example.shares),
        "shares": [{"place": list(s.place), "factor": s.factor, "delta": s.delta} for s in order[:MAX_SHARES]],
        "rest": float(sum(s.product for s in order[MAX_SHARES:])),
        "others": example.others if chain.readers(step.sources[0]) > 1 else 0.0,
    }  # fmt: skip
