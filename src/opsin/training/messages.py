"""Sentences about a run: why it diverged, and doubts about its model."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.training.non_finite import NonFiniteOrigin
from opsin.training.plan import Stage
from opsin.training.recipe import ADAMW_ONE_CYCLE
from opsin.training.state import TrainerState

NOT_BETTER_THAN_CONSTANT = (
    "the model is no better than one that always gives the same answer; "
    "try another learning rate, more epochs or more images"
)
MAX_NAMES = 8
"""At most so many images are named."""


def collapsed(problem: str) -> str:
    """Return why a run ends whose features became useless, and what to do."""
    return (
        f"the features collapsed: {problem}, so that nothing can be told apart by them; try a tenth of the learning "
        "rate, a larger batch, or another --loss. If all images look alike, nothing can be learned from them"
    )


def diverged(
    stage: Stage, before: TrainerState, step: int, origin: NonFiniteOrigin | None, problem: str, names: Sequence[str]
) -> str:
    """Return why a run ends in the step `step` after the state `before`, and what to do.

    If the `origin` is known, a second line gives the `names` of the images of that step.
    """
    epoch = f"epoch {before.epoch + 1}" if stage.name == "training" else f"{stage.name}, epoch {before.epoch + 1}"
    rate = stage.learning_rate * before.lr_scale
    if origin:
        problem = f"layer '{origin.layer}'" if origin.layer else "the loss"
        problem += " produced NaN or infinity"
    text = (
        f"step {before.steps + step:,} ({epoch}): {problem}, even after the learning rate was lowered from "
        f"{stage.learning_rate:g} to {rate:g}; try {min(rate / 10, ADAMW_ONE_CYCLE.learning_rate):g}."
    )
    if origin is None:
        return text
    remainder = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"{text}\nThe images of that step: {', '.join(names[:MAX_NAMES])}{remainder}."
