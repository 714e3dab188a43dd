"""Central differences for some weights of every parameter: as many as there is time for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsin.explain.backpropagation.backward import Backward, Pass
from opsin.explain.backpropagation.differences import Differences
from opsin.inspection.views.backpropagation.selection import Part, ranked
from opsin.ir import macs

MAX_DIFFERENCES = 4
"""Weights of a parameter with central differences, at most."""
MAX_MACS = 600_000_000
"""MACs of all central differences of an image in float64: about a second."""
MAX_REFERENCE_MACS = 6_000_000_000
"""MACs of a network of which the reference engine computes the loss: above, that alone takes many seconds."""


def has_differences(backward: Backward) -> bool:
    """Whether the network is small enough for central differences."""
    return macs(backward.network.nodes) <= MAX_REFERENCE_MACS


def central_differences(backward: Backward, step: Pass, parts: Sequence[Part]) -> dict[str, list[dict[str, Any]]]:
    """Return central differences for the weights with the largest gradients, by parameter.

    Every parameter gets one before any gets two, those of the last layers, which take the shortest runs, first.
    """
    if not has_differences(backward):
        return {part.name: [] for part in parts}
    differences = Differences(backward, step.case)
    costs = {part.name: differences.macs(part.name) for part in parts}
    results: dict[str, list[dict[str, Any]]] = {part.name: [] for part in parts}
    left = MAX_MACS
    for number in range(MAX_DIFFERENCES):
        for part in sorted(parts, key=lambda part: costs[part.name]):
            gradients = step.gradients[backward.parameters[part.name]]
            places = ranked(part, gradients, MAX_DIFFERENCES)
            if costs[part.name] > left or number >= len(places):
                continue
            left -= costs[part.name]
            index = tuple(places[number])
            difference = differences.of(part.name, index)
            results[part.name].append({
                "index": list(index), "h": difference.h, "above": difference.loss_above, "below": difference.loss_below,
                "gradient": difference.gradient, "sentence": difference.sentence(float(gradients[index])),
            })  # fmt: skip
    return results
