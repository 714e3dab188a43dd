"""What a run says about itself: in its model's file, and where it went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsin.data import Dataset
from opsin.model.record import evaluation_split, held_out_split
from opsin.training.events import Epoch, Score
from opsin.training.non_finite import NonFiniteOrigin
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.recipe import ADAMW_ONE_CYCLE
from opsin.training.stages import held_out
from opsin.training.state import TrainerState

NO_NUMBER = "values left the finite"
DOUBTS = (
    "the model is no better than one that always gives the same answer; "
    "try another learning rate, more epochs or more images"
)
SHOWN = 8
"""At most so many images are named."""


def record(
    plan: TrainingPlan, data: Dataset, history: Sequence[Epoch], steps: int, ended: str, test: Score | None
) -> dict[str, Any]:
    """Return the training record of a model after `steps`, for its file; nothing in it depends on the clock.

    "measured_on" is the split of the figures under "test": data without test images of its own is measured on its
    validation or training images. "held_out_split" is the split on which every epoch was measured.
    """
    made: dict[str, Any] = {
        "data": data.name,
        "fingerprint": data.fingerprint,
        "images": len(data.train),
        "held_out": len(held_out(data)),
        "held_out_split": held_out_split(data),
        "plan": plan.to_data(),
        "steps": steps,
        "ended": ended,
        "history": [
            {
                "stage": epoch.stage,
                "loss": epoch.loss,
                "accuracy": epoch.accuracy,
                "held_out_loss": epoch.held_out.loss,
                "held_out_accuracy": epoch.held_out.accuracy,
            }
            for epoch in history
            if epoch.steps <= steps or ended == "finished"
        ],
    }
    if test:
        made["measured_on"] = evaluation_split(data)
        made["test"] = {"images": test.images, "accuracy": test.accuracy, "loss": test.loss}
    return made


def diverged(
    stage: Stage, before: TrainerState, step: int, fault: NonFiniteOrigin | None, trouble: str, names: Sequence[str]
) -> str:
    """Why a run ends in the step `step` after the memory `before`, and what to do: a line, and one of images."""
    place = f"epoch {before.epoch + 1}" if stage.name == "training" else f"{stage.name}, epoch {before.epoch + 1}"
    rate = stage.learning_rate * before.factor
    what = trouble
    if fault:
        what = f"the values of {f'layer {fault.layer}' if fault.layer else 'the loss'} left the finite"
    text = (
        f"step {before.steps + step:,} ({place}): {what}, though the learning rate had been lowered from "
        f"{stage.learning_rate:g} to {rate:g}; try {min(rate / 10, ADAMW_ONE_CYCLE.learning_rate):g}."
    )
    if fault is None:
        return text
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{text}\nThe images of that step: {', '.join(names[:SHOWN])}{more}."
