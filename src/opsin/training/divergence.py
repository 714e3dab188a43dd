"""Explaining a divergence: the step, the layer and the images with which it began."""

from __future__ import annotations

from itertools import islice

from opsin.data import Dataset
from opsin.training.messages import diverged
from opsin.training.non_finite import find_origin
from opsin.training.stages import StageRuntime, image_names
from opsin.training.state import Snapshot


def explain(runtime: StageRuntime, data: Dataset, snapshot: Snapshot, epoch: int, steps: int, problem: str) -> str:
    """Return the message for a `problem` that was noticed `steps` steps after `snapshot`, in epoch `epoch` of the run.

    The steps are repeated, so the program's values are not those of the run afterwards.
    """
    before = snapshot.state
    origin = find_origin(runtime.program, snapshot.values, islice(runtime.inputs(epoch, before), steps))
    step = origin.step if origin else steps
    names = image_names(data, runtime.image_numbers(epoch, before.step + step - 1))
    return diverged(runtime.stage, before, step, origin, problem, names)
