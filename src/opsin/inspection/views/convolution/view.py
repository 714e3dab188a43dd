"""The view "Step by step": every number of a step, from its window to its bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from opsin.explain.arithmetic.softmax import softmax_of
from opsin.explain.observer import Floats
from opsin.explain.stages import Stage, Step
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject
from opsin.inspection.views.convolution.blocks import StepParts, can_show
from opsin.inspection.views.convolution.regions import Region, Span, is_map, sides
from opsin.inspection.views.network.selection import strongest_channels
from opsin.ir import VARIABLE, Tensor

SHARE = 0.3
"""The share of a page's bytes."""


@dataclass(frozen=True)
class Extent:
    """How much of a step is shown: so many `channels` of its output, and a square of so many rows and columns."""

    channels: int
    side: int


EXTENTS = tuple(
    Extent(*pair)
    for pair in ((1, 1), (1, 3), (2, 5), (2, 7), (3, 9), (4, 12), (6, 16), (8, 24), (16, 32), (64, 64), (4096, 4096))
)
"""From the least to all."""


class ConvolutionView:
    """The arithmetic of convolutions, pooling, matrix products, normalization, functions and softmax."""

    name: ClassVar[str] = "convolution"
    title: ClassVar[str] = "Step by step"

    def markup(self, subject: Subject) -> str:
        return (
            "<p>Every value of the network is the result of a few simple operations. Choose a step, then point at a "
            "value: the page computes it again here, in the engine's own order, and compares the bits.</p>"
        )

    def data(self, subject: Subject, arrays: Arrays) -> dict[str, Any] | None:
        """Return the steps of every stage, None for those that only move values, and what was left out."""
        subject.progress("arithmetic")
        steps = _steps(subject)
        if not steps:
            return None
        levels = _chosen_levels(steps, int(SHARE * subject.budget))
        stages: list[list[dict[str, Any] | None]] = [[None] * len(stage.steps) for stage in subject.stages]
        partial = 0
        for candidate, level in zip(steps, levels, strict=True):
            if level is None:
                continue
            parts = candidate.at(EXTENTS[level])
            partial += not candidate.is_whole(EXTENTS[level])
            entry = parts.to_data(arrays)
            if candidate.number < len(stages[candidate.stage.number]):
                stages[candidate.stage.number][candidate.number] = entry
            else:
                stages[candidate.stage.number].append(entry)
        return {"stages": stages, "left_out": _left_out(partial, len(steps))}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A step that could be shown: number `number` of a stage, with all its values."""

    stage: Stage
    number: int
    parts: StepParts
    gradients: Floats | None

    def is_whole(self, extent: Extent) -> bool:
        channels, rows, columns = sides(self.parts.step.output.shape)
        return extent.channels >= channels and extent.side >= max(rows, columns)

    def at(self, extent: Extent) -> StepParts:
        """Return the step with the channels, and around the places, that count most for the answer."""
        output = self.parts.step.output
        values = self.parts.values[output]
        gradients = values if self.gradients is None else self.gradients
        channels = strongest_channels(values, gradients, extent.channels)
        _, rows, columns = sides(output.shape)
        weights = np.abs(values.astype(np.float64) * gradients)[:, channels].reshape(len(values), len(channels), rows, columns).sum(1)
        if not weights.any():
            weights = np.abs(values[:, channels]).reshape(weights.shape[0], -1, rows, columns).sum(1)
        regions = []
        for strength in weights:
            row, column = np.unravel_index(int(strength.argmax()), strength.shape)
            regions.append(Region(tuple(channels), _around(int(row), extent.side, rows), _around(int(column), extent.side, columns)))
        return replace(self.parts, outputs=tuple(regions))


def _around(place: int, side: int, size: int) -> Span:
    """Return `side` indices around `place`, inside an axis of `size`."""
    first = max(0, min(place - side // 2, size - side))
    return first, min(size, first + side)


def _steps(subject: Subject) -> list[Candidate]:
    """Return all steps that the page can compute, and a softmax behind the logits of a classifier."""
    observed = subject.observed
    shown = [(s, n, step) for s in subject.stages for n, step in enumerate(s.steps) if can_show(step)]
    values = observed.values | _missing_maps(subject, [step for _, _, step in shown])
    parameters = _parameters(subject, [step for _, _, step in shown])
    candidates = [
        Candidate(stage, number, StepParts(step, values, parameters, observed.orders, ()), observed.gradients[step.output])
        for stage, number, step in shown
    ]
    last = subject.stages[-1]
    logits = values[last.output]
    if subject.model.task.name == "classification" and logits.ndim == 2 and "logits" in subject.model.graph.outputs:
        softmax = softmax_of(subject.observer, logits)
        parts = StepParts(softmax.step, softmax.values, {}, softmax.orders, ())
        candidates.append(Candidate(last, len(last.steps), parts, None))
    return candidates


def _operands(steps: list[Step]) -> Iterator[Tensor]:
    for step in steps:
        results = {node.output for node in step.nodes}
        yield from (t for node in step.nodes for t in node.inputs if t not in results)


def _missing_maps(subject: Subject, steps: list[Step]) -> dict[Tensor, Floats]:
    """Return the maps that steps read and that are not outputs of steps."""
    missing = list(dict.fromkeys(t for t in _operands(steps) if is_map(t) and t not in subject.observed.values))
    if not missing:
        return {}
    runs = [subject.observer.run(image.pixels[None], missing) for image in subject.images]
    return {t: np.concatenate([run[n] for run in runs]) for n, t in enumerate(missing)}


def _parameters(subject: Subject, steps: list[Step]) -> dict[Tensor, Floats]:
    """Return the parameters of steps: variables, and what is computed from variables alone."""
    tensors = list(dict.fromkeys(t for t in _operands(steps) if not is_map(t)))
    state = subject.model.state
    found = {t: np.asarray(state[t.node.attrs["name"]], np.float32) for t in tensors if t.node.op is VARIABLE}
    computed = [t for t in tensors if t not in found and t.node.op.name != "constant"]
    if computed:
        image = subject.images[0].pixels[None]
        found |= dict(zip(computed, subject.observer.run(image, computed), strict=True))
    return found


def _chosen_levels(steps: list[Candidate], budget: int) -> list[int | None]:
    """Return how much of each step fits into `budget` bytes: as evenly as possible; None if it cannot be shown."""
    sizes = [[candidate.at(extent).size() for extent in EXTENTS] for candidate in steps]
    levels = [None if each[0] is None else 0 for each in sizes]
    left = budget - sum(each[0] or 0 for each in sizes)
    for target in range(1, len(EXTENTS)):
        for number in sorted(range(len(steps)), key=lambda n: (sizes[n][target] or 0, n)):
            level = levels[number]
            if level != target - 1:
                continue
            more = (sizes[number][target] or 0) - (sizes[number][level] or 0)
            if more <= left:
                levels[number], left = target, left - more
    return levels


def _left_out(partial: int, steps: int) -> str:
    return f"the arithmetic of {partial} of {steps} steps for some channels and around the most important place" if partial else ""
