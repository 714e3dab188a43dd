"""A replayed run: its frames, its curves, and what the network of each frame computes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opsin.base.errors import UsageError
from opsin.explain.observer import Floats, Observer
from opsin.explain.stages import Stage
from opsin.ir import Graph, Tensor
from opsin.model import Model
from opsin.runs.log import LOG, read_log
from opsin.runs.replay import REPLAY, ReplayFiles
from opsin.training.events import LOG_NAMES, STEPS, Epoch
from opsin.training.replay import ReplayFrame, ReplayImages


@dataclass(frozen=True, eq=False)
class Replay:
    """The frames of a run in the order of their steps, and its curves by name: pairs of a step and a value.

    `images` are the held-out ones that the frames have outputs for; None if the run kept none.
    """

    frames: tuple[ReplayFrame, ...]
    curves: dict[str, list[tuple[int, float]]]
    images: ReplayImages | None = None


def read_replay(folder: str | os.PathLike[str], model: Model) -> Replay:
    """Read the replay of the run in `folder`. Raise `UsageError` if there is none, or if it is of another network."""
    run = Path(folder)
    files = ReplayFiles(run / REPLAY)
    frames, images = files.read(), files.read_images()
    if not frames:
        raise UsageError(f"{run} holds no replay; train with `opsin train DATA --replay` to record one")
    variables, names = model.graph.variables, frames[-1].weights.keys()
    shapes = {name: tensor.shape for name, tensor in variables.items() if name in names}
    if any({name: w.shape for name, w in frame.weights.items()} != shapes for frame in frames):
        raise UsageError(f"{run} is the run of another network than {model.name}; give the run that trained it")
    is_of_frames = images is not None and len(images.names) == len(frames[0].images)
    return Replay(tuple(frames), read_curves(run), images if is_of_frames else None)


def read_curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the loss in training, and the loss and the main metric on the held-out images, by step.

    What came before a rollback is left out.
    """
    curves: dict[str, dict[int, float]] = {}
    for record in read_log(run / LOG):
        if record.get("event") == STEPS:
            curves.setdefault("loss in training", {})[int(record["step"])] = float(record["loss"])
        elif record.get("event") == LOG_NAMES[Epoch]:
            score = record["held_out"]
            curves.setdefault("loss on held-out images", {})[int(record["steps"])] = float(score["loss"])
            name, value = next(iter(score["metrics"].items()))
            curves.setdefault(f"{name} on held-out images", {})[int(record["steps"])] = float(value)
    return {name: sorted(values.items()) for name, values in curves.items()}


def computable(graph: Graph, stages: Sequence[Stage], known: Sequence[str]) -> list[Stage]:
    """Return the stages that depend on no other variables than those `known`."""
    return [stage for stage in stages if set(Graph(graph.inputs, {"": stage.output}).variables) <= set(known)]


def replayed(
    model: Model, inputs: Floats, frames: Sequence[ReplayFrame], tensors: Sequence[Tensor]
) -> list[list[Floats]]:
    """Return the values of tensors for normalized images (N×C×H×W) with the weights of each frame."""
    observer, results = Observer(model), []
    for frame in frames:
        observer.load_state(frame.weights)
        results.append(observer.run_inputs(inputs, tensors))
    return results
