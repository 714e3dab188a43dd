"""The view "Step by step": every number of a step, from its window to its bits."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np

from opsin.explain.arithmetic.softmax import softmax_of
from opsin.explain.observer import Floats
from opsin.explain.stages import Stage, Step
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.spread import evenly
from opsin.inspection.subject import Subject
from opsin.inspection.views.convolution.blocks import StepParts, can_show
from opsin.inspection.views.convolution.extent import Candidate, chosen_levels
from opsin.inspection.views.convolution.regions import is_map
from opsin.ir import VARIABLE, Tensor

SHARE = 0.3
"""The share of a page's bytes."""
MAX_STEPS = 800
"""Steps whose arithmetic is shown; in longer networks, they are spread evenly."""


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
        candidates = _candidates(subject)
        if not candidates:
            return None
        total = len(candidates)
        candidates = [candidates[number] for number in evenly(total, MAX_STEPS)]
        levels = chosen_levels(candidates, int(SHARE * subject.budget))
        stages: list[list[dict[str, Any] | None]] = [[None] * len(stage.steps) for stage in subject.stages]
        for candidate, level in levels.items():
            steps = stages[candidate.stage.number]
            steps += [None] * (candidate.number + 1 - len(steps))
            steps[candidate.number] = candidate.at(level).to_data(arrays)
        shown_in_part = sum(not candidate.is_whole(level) for candidate, level in levels.items())
        missing = total - len(candidates)
        return {"stages": stages, "missing": missing, "left_out": _left_out(shown_in_part, len(levels), missing)}


def _candidates(subject: Subject) -> list[Candidate]:
    """Return all steps that the page can compute, and a softmax behind the logits of a classifier."""
    observed = subject.observed
    shown = [(s, n, step) for s in subject.stages for n, step in enumerate(s.steps) if can_show(step)]

    values = ChainMap(_missing_maps(subject, [step for _, _, step in shown]), observed.values)  # type: ignore[arg-type]
    parameters = _parameters(subject, [step for _, _, step in shown])
    candidates = [
        Candidate(
            stage,
            number,
            StepParts(step, values, parameters, observed.orders, ()),
            len(subject.images),
            partial(_ranking, subject, stage, step),
        )
        for stage, number, step in shown
    ]
    last = subject.stages[-1]
    logits = values.get(last.output)
    if subject.model.task.name == "classification" and logits is not None and logits.ndim == 2:
        softmax = softmax_of(subject.observer, logits)
        result = softmax.values[softmax.step.output]
        parts = StepParts(softmax.step, softmax.values, {}, softmax.orders, ())
        candidates.append(Candidate(last, len(last.steps), parts, len(result), lambda axes: (result, result)))
    return candidates


def _ranking(subject: Subject, stage: Stage, step: Step, axes: slice) -> tuple[Floats, Floats]:
    """Return the values and gradients by which channels and places are chosen: those of the stage's last step, so that
    all its steps show the same part, unless the sizes of `axes` differ."""
    observed, last = subject.observed, stage.steps[-1].output
    tensor = last if last.shape[axes] == step.output.shape[axes] else step.output
    return observed.values[tensor], observed.gradients[tensor]


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
    parameters = {t: np.asarray(state[t.node.attrs["name"]], np.float32) for t in tensors if t.node.op is VARIABLE}
    computed = [t for t in tensors if t not in parameters and t.node.op.name != "constant"]
    if computed:
        image = subject.images[0].pixels[None]
        parameters |= dict(zip(computed, subject.observer.run(image, computed), strict=True))
    return parameters


def _left_out(partial: int, steps: int, missing: int) -> str:
    parts = []
    if partial:
        which = "all steps" if partial == steps else f"{partial} of {steps} steps"
        parts.append(f"the arithmetic of {which} for some channels around the place that counts most")
    if missing:
        parts.append(f"no arithmetic of {missing:,} steps")
    return "; ".join(parts)
