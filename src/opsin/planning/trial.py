"""A short training of a recipe on a part of the data, to see how well it learns."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.base import random_counter
from opsin.base.errors import TrainingError, UsageError
from opsin.data import Dataset, LabeledImages
from opsin.data.ingest.split import held_out as divided
from opsin.data.ingest.split import index_ranks
from opsin.planning import scratch, transfer
from opsin.planning.budget import Budget
from opsin.planning.candidates import Candidate
from opsin.planning.measurement import ConvTuning, measure
from opsin.planning.overrides import overridden
from opsin.training.class_balance import IMBALANCE, imbalance
from opsin.training.events import Interrupted, Score
from opsin.training.recipe import Recipe
from opsin.training.trainer import Trainer

VALIDATION_SHARE, MAX_VALIDATION = 0.2, 2000
"""The part of the images by which trials are compared, and the most of them."""

ENOUGH_VALIDATION, LARGEST_SHARE = 40, 1 / 3
"""With a smaller validation part than the first, trials take a part of all training and validation images, large enough
for that number if the second share allows it."""

FILLED, FEWEST = 0.8, 32
"""The share of a trial that its first epoch may take, and the training images it has at least."""

MIRRORED, MIRRORED_BYTES = 1.25, 2**27
"""How much larger the error of mirrored images may be if they show the same, and the most bytes of them."""

NO_REPORT = 1e6
"""Seconds for the report of a trial: there is none, and nothing is to be kept for it."""

MEASURED = 16
"""Images in the steps that are timed."""

LOOKING = 1.6
"""How much longer a trial of a published network takes for an image than one pass through it."""


@dataclass(frozen=True)
class Trial:
    """What came of a trial: `wrong` of `images` of the validation images after `seconds` of training.

    `error` is the share that is wrong, or for unbalanced data the mean of the classes' shares, 0 to 1. `mirrored_error`
    is that of mirrored validation images, where none were mirrored in training; None where that was not tried. `usual`
    is how many seconds the recipe takes at most for all of the data, however much time there is. It learned from
    `learned` different images, of `available`.
    """

    candidate: Candidate
    seconds: float
    images: int
    wrong: int
    error: float
    mirrored_error: float | None = None
    usual: float = inf
    learned: int = 1
    available: int = 1

    @property
    def deviation(self) -> float:
        """The standard error of `error`."""
        return sqrt(self.error * (1 - self.error) / self.images)

    @property
    def mirrors(self) -> bool | None:
        """Whether mirrored images show the same, as a network that never saw one finds; None if it was not asked."""
        if self.mirrored_error is None:
            return None
        return self.mirrored_error <= MIRRORED * self.error + 2 * self.deviation

    def to_data(self) -> Mapping[str, Any]:
        """The evidence as a plan holds it."""
        return {
            "recipe": self.candidate.name,
            "seconds": round(self.seconds, 2),
            "validation_images": self.images,
            "error": round(self.error, 5),
            **({} if self.mirrored_error is None else {"mirrored_error": round(self.mirrored_error, 5)}),
        }


def run(candidate: Candidate, data: Dataset, seconds: float) -> Trial | None:
    """Train the candidate for about so many `seconds` on a part of `data`; None if that is too little for it."""
    options = replace(candidate.options, epochs=None, budget=seconds, patience=None)
    budget = Budget(seconds, NO_REPORT, seconds, 0.0, True, ConvTuning(options.exact))
    fit = transfer.fit if candidate.outline.pretrained else scratch.fit
    rate = _image_seconds(candidate, data)
    most = FILLED * (seconds / rate - len(data.require_test()) / 3)
    for images in (most, most / 2, most / 4):  # measuring is noisy: what just fits in, next time does not
        part = _part(data, max(FEWEST, int(images)), options.seed)
        with suppress(UsageError):
            plan = fit(candidate.outline, part, options, budget).plan
            break
    else:
        return None
    counts = data.train.counts()
    probing = options.flip is None and options.augment != "none"
    plan = replace(overridden(plan, replace(options, flip=False) if probing else options, counts), patience=None)
    training = Trainer(plan, part, deadline=seconds, threads=options.threads)
    try:
        events = list(training)
    except TrainingError:  # diverged
        return None
    if any(isinstance(event, Interrupted) for event in events):
        raise KeyboardInterrupt
    score, uneven = training.history[-1].held_out, imbalance(counts) > IMBALANCE
    mirrored = _error(Score.of(training.model.evaluate(_mirrored(data.require_test()))), uneven) if probing else None
    wrong = score.images - score.correct
    usual = inf if plan.pretrained else rate * len(data.train) * Recipe().plan(plan.network, len(data.train)).epochs
    return Trial(
        candidate, training.memory.seconds, score.images, wrong, _error(score, uneven), mirrored, usual,
        len(part.train), len(data.train),
    )  # fmt: skip


def _error(score: Score, uneven: bool) -> float:
    """The share that is wrong, never 0: that nothing is wrong of few images does not show much."""
    wrong, count = score.images - score.correct, score.images
    if uneven and score.balanced is not None:
        return max(1 - score.balanced, 0.5 / (count + 1))
    return (wrong + 0.5) / (count + 1)


def _mirrored(images: LabeledImages) -> LabeledImages:
    """The mirror images of as many images as memory suggests."""
    count = max(1, min(len(images), MIRRORED_BYTES // int(np.prod(images.shape))))
    some = images.take(np.arange(count))
    return replace(some, pixels=np.ascontiguousarray(some.pixels[:][..., ::-1]))


def _image_seconds(candidate: Candidate, data: Dataset) -> float:
    """How long the candidate takes for a training image."""
    outline, options = candidate.outline, candidate.options
    layer = zoo.find(outline.network)(len(data.classes))
    if outline.pretrained:
        return LOOKING * measure(nn.trace(layer, data.shape), MEASURED, options.threads).seconds
    graph = nn.training_graph(layer, data.shape, nn.optimizers.SGD(momentum=0.9))
    return measure(graph, min(MEASURED, len(data.train)), options.threads).seconds


def validation_images(data: Dataset) -> int:
    """By how many images trials on `data` are compared."""
    own = len(data.validation or ())
    return min(MAX_VALIDATION, own if own >= ENOUGH_VALIDATION else _compared(own + len(data.train)))


def _compared(images: int) -> int:
    """How many of all images are for validation."""
    return max(int(VALIDATION_SHARE * images), min(ENOUGH_VALIDATION, int(LARGEST_SHARE * images)))


def comparable(data: Dataset, seed: int) -> Dataset:
    """`data` with a validation part for trials, which its training part lacks, as its test part, and no other."""
    if data.validation is not None and len(data.validation) >= ENOUGH_VALIDATION:
        train, validation = data.train, _some(data.validation, MAX_VALIDATION, seed)
    else:
        images = replace(data, test=None).all_images()
        count = len(images)
        groups, rank = np.arange(count), index_ranks(count, seed)
        apart = divided(images.labels, groups, rank, groups, _compared(count) / count, MAX_VALIDATION)
        rest = np.setdiff1d(groups, apart)
        train, validation = images.take(rest), images.take(apart)
    return replace(data, train=train, test=validation, validation=None, receipt=None)


def _part(data: Dataset, images: int, seed: int) -> Dataset:
    return replace(data, train=_some(data.train, images, seed))


def _some(images: LabeledImages, most: int, seed: int) -> LabeledImages:
    """At most so many of the images, at random but one of each class at least."""
    count = len(images)
    if count <= most:
        return images
    order = random_counter.order(count, seed, random_counter.TRIAL)
    _, first = np.unique(images.labels[order], return_index=True)
    chosen: NDArray[np.intp] = np.union1d(order[:most], order[first]).astype(np.intp)
    return images.take(chosen)
