"""What each channel of a network reacts to in real images, and the channels that never or always react alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base import random_counter
from opsin.base.formatting import listed, percent
from opsin.data.batches import batch_size
from opsin.data.pixels import Pixels
from opsin.explain.observer import Floats, Observer
from opsin.explain.stages import Stage, Step
from opsin.ir import BATCH, Tensor, product
from opsin.nn.receptive_field import PixelSpan
from opsin.viz import captions

SAMPLE = 124
"""Purpose of random numbers (see `opsin.base.random_counter`)."""

MAX_BATCH = 32
"""Images of a batch at most."""

OBSERVATION_MACS = 2e11
"""MACs for looking at images: a few seconds of a small computer."""

MIN_MACS = 1e6
"""An image counts as so many MACs at least."""

STRONGEST = 9
"""Images that are kept for each channel."""

KINDS = (captions.CONV, captions.DEPTHWISE, captions.LINEAR, captions.ADD, captions.FUNCTION)
"""Kinds of stages whose channels are observed: those that do more than select or rearrange."""

LIMITS = {"relu6": (-np.inf, 5.99), "sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99)}
"""Activations with limits: values below or above these count as at a limit."""

DYING = ("relu", "relu6")
"""Activations after which a channel can be zero everywhere, and then learns nothing (Maas, Hannun & Ng 2013)."""

SATURATED_SHARE = 0.95
"""A channel is saturated if more of its values are at a limit."""

LISTED = 12
"""Channels that a sentence lists by number."""


@dataclass(frozen=True, eq=False)
class ChannelActivity:
    """The activations of the C channels of a stage in `images` of `available` images.

    `values` are the largest of each image, C × `STRONGEST`, the largest first; `numbers` are those images, and `places`
    the rows and columns in the channel's map (C × `STRONGEST` × 2; of the first, if several are equal). `positive` and
    `at_limit` are the shares of all of a channel's values that are positive, and at a limit of the activation. Linear
    layers have maps of 1 × 1.
    """

    stage: Stage
    step: Step
    images: int
    available: int
    values: Floats
    numbers: NDArray[np.intp]
    places: NDArray[np.intp]
    positive: NDArray[np.float64]
    at_limit: NDArray[np.float64]

    @property
    def activation(self) -> str:
        """The operation that the stage ends with, such as "relu"."""
        return self.step.nodes[-1].op.name

    @property
    def dead(self) -> list[int]:
        """The channels without a positive value after ReLU."""
        return np.flatnonzero(self.positive == 0).tolist() if self.activation in DYING else []

    @property
    def saturated(self) -> list[int]:
        """The channels of which nearly all values are at a limit of the activation."""
        return np.flatnonzero(self.at_limit > SATURATED_SHARE).tolist() if self.activation in LIMITS else []

    def sentences(self) -> list[str]:
        """Return what is remarkable about the channels."""
        count = len(self.values)
        share = percent(SATURATED_SHARE, digits=0)
        sentences = []
        if self.dead:
            sentences.append(f"{_channels(self.dead, count)} dead: after {self.step.name} no value was positive.")
        if self.saturated:
            text = f"{_channels(self.saturated, count)} saturated: more than {share} of the values are at a limit of"
            sentences.append(f"{text} {self.step.name}.")
        if sentences:
            sentences.append(f"{self._scope()} A channel that reacts to rare images only may seem dead.")
        return sentences

    def _scope(self) -> str:
        if self.images == self.available:
            return f"All {self.images:,} images were looked at."
        return f"{self.images:,} of {self.available:,} images were looked at, chosen at random."

    def to_data(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "stage": self.stage.number, "step": self.step.name, "images": self.images, "available": self.available,
            "values": self.values.tolist(), "numbers": self.numbers.tolist(), "places": self.places.tolist(),
            "positive": self.positive.tolist(), "dead": self.dead, "saturated": self.saturated,
            "sentences": self.sentences(),
        }  # fmt: skip


def affordable_images(stages: Sequence[Stage], macs: float) -> int:
    """Return the number of images, at least one, for which the network needs `macs` MACs.

    Unlike a time limit, this gives the same sample on every computer.
    """
    return max(1, int(macs / max(MIN_MACS, sum(stage.unit.macs for stage in stages))))


def observe_channels(
    observer: Observer, stages: Sequence[Stage], pixels: Pixels, *, macs: float = OBSERVATION_MACS, seed: int = 0
) -> list[ChannelActivity]:
    """Return the activity in `pixels` (uint8 N×C×H×W) of each stage that computes.

    Images are taken in random order, as many as the network can process with `macs` MACs.
    """
    observed = [(stage, step) for stage in stages if (step := observed_step(stage)) is not None]
    if not observed or not len(pixels):
        return []
    tensors = [tensor for _, step in observed for tensor in _summaries(step)]
    order = random_counter.order(len(pixels), seed, SAMPLE)[: affordable_images(stages, macs)]
    batch = batch_size(pixels.shape[1:], min(MAX_BATCH, len(order)))
    running = [_Running(step.output) for _, step in observed]
    for numbers, results in observer.run_batches(pixels, order, tensors, batch):
        for position, each in enumerate(running):
            each.add(numbers, *results[4 * position : 4 * position + 4])
    return [each.activity(stage, step, len(pixels)) for (stage, step), each in zip(observed, running, strict=True)]


def observed_step(stage: Stage) -> Step | None:
    """Return the last step of a stage that computes; None if the stage only selects or rearranges."""
    if stage.unit.kind not in KINDS:
        return None
    step = next((step for step in reversed(stage.steps) if step.kind != captions.REARRANGE), None)
    return step if step and step.output.rank in (2, 4) else None


def seen_pixels(spans: tuple[PixelSpan, PixelSpan], row: int, column: int) -> tuple[int, int, int, int]:
    """Return the rows and columns of the image that a position sees: first and last row, first and last column.

    `spans` are those of its tensor (see `opsin.nn.receptive_field.receptive_spans`).
    """
    (rows, columns), at = spans, (row, column)
    limits = [int(ends[min(position, len(ends) - 1)]) for span, position in zip((rows, columns), at, strict=True)
              for ends in (span.first, span.last)]  # fmt: skip
    return limits[0], limits[1], limits[2], limits[3]


def _summaries(step: Step) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return, for each image and channel: the largest value, its place, and the shares positive and at a limit."""
    shape = step.output.shape
    flat = ops.reshape(step.output, (BATCH, shape[1], product(shape[2:])))
    low, high = LIMITS.get(step.nodes[-1].op.name, (-np.inf, np.inf))
    outside = [ops.greater(low, flat)] if low > -np.inf else []
    outside += [ops.greater(flat, high)] if high < np.inf else []
    shares = [ops.mean(each, axes=2) for each in [ops.greater(flat, 0.0), *outside]]
    at_limit = ops.add(*shares[1:]) if len(shares) == 3 else shares[-1]
    return ops.max(flat, axes=2), ops.argmax(flat, axis=2), shares[0], at_limit


class _Running:
    """The strongest activations so far, and sums of shares, of the channels of a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        channels = int(tensor.shape[1])  # type: ignore[arg-type]
        self.width = int(tensor.shape[3]) if tensor.rank == 4 else 1  # type: ignore[arg-type]
        self.values = np.empty((channels, 0), np.float32)
        self.numbers, self.places = np.empty((2, channels, 0), np.intp)
        self.sums, self.images = np.zeros((2, channels)), 0

    def add(
        self, numbers: NDArray[np.intp], largest: Floats, places: NDArray[Any], positive: Floats, at_limit: Floats
    ) -> None:
        """Add a batch: the images' `numbers`, and the rest images × channels."""
        self.images += len(numbers)
        self.sums += positive.sum(axis=0, dtype=np.float64), at_limit.sum(axis=0, dtype=np.float64)
        values = np.concatenate([self.values, largest.T], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :STRONGEST]
        repeated = np.broadcast_to(numbers, largest.T.shape)
        self.values = np.take_along_axis(values, order, axis=1)
        self.numbers = np.take_along_axis(np.concatenate([self.numbers, repeated], axis=1), order, axis=1)
        self.places = np.take_along_axis(np.concatenate([self.places, places.T], axis=1), order, axis=1)

    def activity(self, stage: Stage, step: Step, available: int) -> ChannelActivity:
        places = np.stack(np.divmod(self.places, self.width), axis=2).astype(np.intp)
        positive, at_limit = self.sums / self.images
        return ChannelActivity(
            stage, step, self.images, available, self.values, self.numbers, places, positive, at_limit
        )


def _channels(numbers: Sequence[int], count: int) -> str:
    """Return "3 of 16 channels (0, 4, 7) are"."""
    verb = "is" if len(numbers) == 1 else "are"
    return f"{len(numbers)} of {count} channels ({listed(map(str, numbers), LISTED, count=False)}) {verb}"
