"""Small snapshots of a network while it learns, to be looked at afterwards; training does not read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import Program
from opsin.base import random_counter
from opsin.base.errors import TrainingError
from opsin.data import Dataset, LabeledImages, Samples
from opsin.ir import Graph, bind
from opsin.model import Model
from opsin.model.record import held_out, held_out_split
from opsin.training.events import Warning
from opsin.training.plan import TrainingPlan
from opsin.training.state import State

EARLY_FRAMES, EPOCH_FRAMES = 20, 19
"""Frames in the steps 1 … the last, at growing distances, and after epochs; there is one before the first step, too."""

MAX_WEIGHT_BYTES = 10**6
"""Weights of a frame. Larger networks keep their first layers."""

MAX_OUTPUT_BYTES = 2**17
"""Outputs of a frame. Larger ones, such as those of detectors, are left out."""

IMAGES = 8

IMAGE_ORDER = 123
"""Purpose of random numbers (see `opsin.base.random_counter`)."""


@dataclass(frozen=True, eq=False)
class ReplayFrame:
    """The network after `step` steps, `epoch` epochs: float32 `weights` by name, bit-identical to the network's.

    `outputs` are the network's outputs by name for the `images` of the `split`, by their numbers in it. Both may be
    incomplete: of large networks only the first layers are kept.
    """

    step: int
    epoch: float
    split: str
    images: tuple[int, ...]
    weights: State
    outputs: State


@dataclass(frozen=True, eq=False)
class ReplayImages:
    """The held-out images of a replay: their names, the right answers in words, and uint8 N×C×H×W."""

    names: tuple[str, ...]
    truth: tuple[str, ...]
    pixels: NDArray[np.uint8]


class ReplayStore(Protocol):
    """Where frames are written. `opsin.runs.replay.ReplayFiles` implements it."""

    def write_images(self, images: ReplayImages) -> None:
        """Keep the images that all frames have outputs for. Raise `TrainingError` if that fails."""

    def write(self, frame: ReplayFrame) -> None:
        """Add a frame, or replace that of the same step. Raise `TrainingError` if that fails."""

    def truncate(self, step: int) -> None:
        """Remove the frames after `step` steps."""


class ReplayRecorder:
    """Writes frames to `store` at the `steps` of a run at which one is due. It only reads what training computes."""

    def __init__(self, plan: TrainingPlan, data: Dataset, model: Model, store: ReplayStore) -> None:
        self.model, self.store = model, store
        self.split, self._samples = held_out_split(data), held_out(data)
        self._epoch_ends = epoch_ends(plan, len(data.train))
        self.steps = frame_steps(self._epoch_ends)
        self.images = chosen_images(self._samples)
        self._names = first_variables(model.graph)
        self._program: Program | None = None
        self._is_failing = False

    def truncate(self, step: int) -> None:
        """Remove the frames after `step` steps, from where training continues."""
        self.store.truncate(step)

    def record_images(self) -> Warning | None:
        """Write the images that all frames have outputs for. Training continues if they cannot be written."""
        chosen = self._samples.take(self.images)
        names = chosen.names or [f"{self.split} image {number + 1:,}" for number in self.images.tolist()]
        pixels = np.asarray(chosen.single().pixels[:])
        images = ReplayImages(tuple(names), right_answers(chosen), pixels)
        return self._written(lambda: self.store.write_images(images), "the images of the replay")

    def record(self, step: int, values: State) -> Warning | None:
        """Write a frame of the network's variables `values`. Training continues if it cannot be written."""
        epoch = float(np.interp(step, [0, *self._epoch_ends], range(len(self._epoch_ends) + 1)))
        weights = {name: values[name] for name in self._names}
        frame = ReplayFrame(step, epoch, self.split, tuple(self.images.tolist()), weights, self._outputs(values))
        return self._written(lambda: self.store.write(frame), "this frame of the replay")

    def _written(self, write: Callable[[], None], what: str) -> Warning | None:
        """Write something. Return a warning if that fails, unless the last time failed, too."""
        was_failing, self._is_failing = self._is_failing, False
        try:
            write()
        except TrainingError as error:
            self._is_failing = True
            if not was_failing:
                return Warning(f"{error}; training continues without {what}")
        return None

    def _outputs(self, values: State) -> dict[str, NDArray[Any]]:
        """Return the network's outputs for the chosen images; nothing if they are large."""
        if self._program is None:
            self._program = self.model.engine(self.model.graph, len(self.images), self.model.threads)
        if output_bytes(self._program.graph) > MAX_OUTPUT_BYTES:
            return {}
        self._program.load_state({name: values[name] for name in self._program.graph.variables})
        return self._program.run(inputs=self.model.preprocessing.apply(self._samples.pixels[self.images]))


def right_answers(samples: Samples) -> tuple[str, ...]:
    """Return the right answer for each image in a few words."""
    if isinstance(samples, LabeledImages):
        return tuple(samples.classes[label] for label in samples.labels.tolist())
    return tuple(answer.summary() for answer in samples.task.truth(samples.targets))


def epoch_ends(plan: TrainingPlan, images: int) -> list[int]:
    """Return the number of steps after each epoch of a plan for `images` training images."""
    epochs = [
        -(-min(stage.images or images, images) // min(stage.batch, images))
        for stage in plan.stages
        for _ in range(stage.epochs)
    ]
    return list(accumulate(epochs))


def frame_steps(ends: Sequence[int]) -> frozenset[int]:
    """Return the steps with a frame, at most 40: early ones close together, and the `ends` of epochs evenly."""
    early = np.geomspace(1, ends[-1], EARLY_FRAMES).round()
    epochs = np.linspace(0, len(ends) - 1, min(len(ends), EPOCH_FRAMES)).round().astype(np.intp)
    return frozenset([0, *early.astype(int).tolist(), *(ends[number] for number in epochs)])


def chosen_images(samples: Samples) -> NDArray[np.intp]:
    """Return the numbers of up to `IMAGES` images at random, of as many classes as possible."""
    order = random_counter.order(len(samples), 0, IMAGE_ORDER)
    if isinstance(samples, LabeledImages):
        labels = samples.labels[order]
        copies = np.zeros(len(order), np.intp)  # how many images of the same class come before
        by_class = np.argsort(labels, kind="stable")
        _, first = np.unique(labels[by_class], return_index=True)
        sizes = np.diff([*first, len(order)])
        copies[by_class] = np.concatenate([np.arange(size) for size in sizes])
        order = order[np.argsort(copies, kind="stable")]
    return order[:IMAGES]


def first_variables(graph: Graph) -> list[str]:
    """Return the names of the variables from the first on, as many as fit into `MAX_WEIGHT_BYTES`."""
    sizes = [4 * prod(bind(tensor.shape, 1)) for tensor in graph.variables.values()]
    count = int(np.searchsorted(np.cumsum(sizes), MAX_WEIGHT_BYTES, side="right"))
    return list(graph.variables)[:count]


def output_bytes(graph: Graph) -> int:
    """Return the bytes of the outputs of a graph that is bound to a batch."""
    return sum(4 * prod(bind(tensor.shape, 1)) for tensor in graph.outputs.values())
