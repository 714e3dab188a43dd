"""A short training of a recipe on a part of the data, to see how well it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.base import random_counter
from opsin.base.errors import TrainingError, UsageError
from opsin.data import Dataset, Samples
from opsin.data.ingest.split import held_out, index_ranks
from opsin.planning.autoconfig import planner_for
from opsin.planning.budget import Budget
from opsin.planning.candidate import fits
from opsin.planning.measurement import LOCAL_MACHINE, ConvTuning, CostMeter
from opsin.planning.options import TrainOptions
from opsin.planning.overrides import with_overrides
from opsin.planning.trial_candidates import TrialCandidate
from opsin.tasks.classification.class_balance import IMBALANCE, imbalance
from opsin.tasks.score import Score
from opsin.training.events import Interrupted
from opsin.training.plan import TrainingPlan
from opsin.training.recipe import Recipe
from opsin.training.trainer import Trainer

TRIAL_VALIDATION_SHARE = 0.2
MAX_TRIAL_VALIDATION_IMAGES = 2000
"""The share of the images by which trials are compared, and its bound."""

MIN_TRIAL_VALIDATION_IMAGES = 40
MAX_TRIAL_VALIDATION_SHARE = 1 / 3
"""The minimum number of validation images. If the validation split has fewer, trials take this many from training and
validation together if the maximum share allows it."""

FIRST_EPOCH_SHARE = 0.8
"""The share of a trial that its first epoch may take."""

MIN_TRAINING_IMAGES = 32

MAX_MIRRORED_ERROR_RATIO = 1.25
"""The largest ratio of the error of mirrored images to that of the others at which mirroring is harmless."""

MAX_MIRRORED_BYTES = 2**27

MEASURED_BATCH = 16
"""The batch of the steps that are timed."""

TRANSFER_PASSES = 1.6
"""The time per image of a trial with published weights, in forward passes."""


@dataclass(frozen=True)
class Trial:
    """The result of a trial: `errors` of `images` validation images after `seconds` of training.

    `error` is the error rate or, for unbalanced data, the mean of the classes' error rates, 0 to 1. `mirrored_error` is
    that of mirrored validation images if none were mirrored in training, and None if that was not tested. On all of the
    data, the recipe trains for at most `useful_seconds`, however much time there is. The trial used `training_images`
    different images of the `available_images`. `chance_error` is the error of always predicting the same class,
    and `image_seconds` the time for one training image.
    """

    candidate: TrialCandidate
    seconds: float
    images: int
    errors: int
    error: float
    mirrored_error: float | None = None
    useful_seconds: float = inf
    training_images: int = 1
    available_images: int = 1
    chance_error: float = 1.0
    image_seconds: float = 1.0

    @property
    def standard_error(self) -> float:
        """The standard error of `error`."""
        return sqrt(self.error * (1 - self.error) / self.images)

    @property
    def margin(self) -> float:
        """By how much the error of another recipe must be smaller; larger for few validation images."""
        return self.standard_error * (0.5 if self.images >= MIN_TRIAL_VALIDATION_IMAGES else 1.0)

    @property
    def is_mirror_invariant(self) -> bool | None:
        """Whether mirrored images show the same, judged by a network that never saw one; None if not tested."""
        if self.mirrored_error is None:
            return None
        return self.mirrored_error <= MAX_MIRRORED_ERROR_RATIO * self.error + 2 * self.standard_error

    def to_data(self) -> Mapping[str, Any]:
        """Return the evidence that a plan stores."""
        return {
            "recipe": self.candidate.name,
            "seconds": round(self.seconds, 2),
            "validation_images": self.images,
            "error": round(self.error, 5),
            **({} if self.mirrored_error is None else {"mirrored_error": round(self.mirrored_error, 5)}),
        }


def run(candidate: TrialCandidate, data: Dataset, seconds: float) -> Trial | None:
    """Train the candidate for about this many seconds on a part of `data`; return None if that is too little for it."""
    options = replace(candidate.options, epochs=None, budget=seconds, patience=None)
    image_seconds = _image_seconds(candidate, data)
    plan_and_part = _fit_plan(candidate, data, options, image_seconds)
    if plan_and_part is None:
        return None
    plan, part = plan_and_part
    counts = data.train.counts()
    tests_mirroring = options.flip is None and options.augment != "none"
    plan = with_overrides(plan, replace(options, flip=False) if tests_mirroring else options, counts)
    trainer = Trainer(replace(plan, patience=None), part, deadline=seconds, threads=options.threads)
    try:
        events = list(trainer)
    except TrainingError:  # It diverged.
        return None
    if any(isinstance(event, Interrupted) for event in events):
        raise KeyboardInterrupt
    score, is_unbalanced = trainer.history[-1].held_out, imbalance(counts) > IMBALANCE
    mirrored_error = None
    if tests_mirroring:
        mirrored_error = _error(trainer.model.evaluate(_mirrored(data.require_test())).score, is_unbalanced)
    return Trial(
        candidate=candidate,
        seconds=trainer.state.seconds,
        images=score.images,
        errors=score.images - score.correct,
        error=_error(score, is_unbalanced),
        mirrored_error=mirrored_error,
        useful_seconds=_useful_seconds(plan, image_seconds, len(data.train)),
        training_images=len(part.train),
        available_images=len(data.train),
        image_seconds=image_seconds,
        chance_error=1 - 1 / len(data.classes) if is_unbalanced else 1 - max(counts) / sum(counts),
    )


def _fit_plan(
    candidate: TrialCandidate, data: Dataset, options: TrainOptions, image_seconds: float
) -> tuple[TrainingPlan, Dataset] | None:
    """Return a plan for the trial and the part of the data for it; None if no part is small enough."""
    seconds = options.seconds
    # No report follows a trial, so that none can take longer than its share.
    budget = Budget(seconds, inf, seconds, 0.0, is_explicit=True, memory=options.memory)
    max_images = FIRST_EPOCH_SHARE * (seconds / image_seconds - len(data.require_test()) / 3)
    for images in (max_images, max_images / 2, max_images / 4):  # Measured times vary: what just fits may not.
        part = replace(data, train=_sample(data.train, max(MIN_TRAINING_IMAGES, int(images)), options.seed))
        meter = CostMeter(LOCAL_MACHINE, options.threads, ConvTuning(options.winograd), options.planned_precision)
        try:
            planner = planner_for(candidate.choice, part, options, budget, meter)
            fitting = next((each for each in planner.candidates() if fits(each, budget)), None)
            if fitting:
                return planner.plan(fitting), part
        except UsageError:  # The options contradict this recipe, such as a momentum for AdamW.
            return None
    return None


def _useful_seconds(plan: TrainingPlan, image_seconds: float, images: int) -> float:
    """Return how long the recipe trains on all images at most."""
    if plan.pretrained:
        return inf
    return image_seconds * images * Recipe().plan(plan.network, images).epochs


def _error(score: Score, is_unbalanced: bool) -> float:
    """Return the error rate, never 0: no error among few images does not show much."""
    errors, count = score.images - score.correct, score.images
    if is_unbalanced and score.balanced is not None:
        return max(1 - score.balanced, 0.5 / (count + 1))
    return (errors + 0.5) / (count + 1)


def _mirrored(images: Samples) -> Samples:
    """Return the mirror images of the first images, as many as the memory for them allows."""
    count = max(1, min(len(images), MAX_MIRRORED_BYTES // int(np.prod(images.shape))))
    first = images.take(np.arange(count))
    return first.changed(np.ascontiguousarray(first.pixels[:][..., ::-1]), first.targets, first.names)


def _image_seconds(candidate: TrialCandidate, data: Dataset) -> float:
    """Return how long the candidate takes for a training image."""
    choice, options = candidate.choice, candidate.options
    layer = zoo.find(choice.network)(data.task.outputs)
    meter = CostMeter(LOCAL_MACHINE, options.threads, precision=options.planned_precision)
    if choice.pretrained:
        return TRANSFER_PASSES * meter.measure(nn.trace(layer, data.shape), MEASURED_BATCH).image_seconds
    graph = nn.training_graph(layer, data.shape, nn.optimizers.SGD(momentum=0.9))
    return meter.measure(graph, min(MEASURED_BATCH, len(data.train))).image_seconds


def validation_images(data: Dataset) -> int:
    """Return by how many images trials on `data` are compared."""
    count = len(data.validation or ())
    if count < MIN_TRIAL_VALIDATION_IMAGES:
        count = _validation_count(count + len(data.train))
    return min(MAX_TRIAL_VALIDATION_IMAGES, count)


def _validation_count(images: int) -> int:
    """Return how many of all images are for validation."""
    return max(
        int(TRIAL_VALIDATION_SHARE * images), min(MIN_TRIAL_VALIDATION_IMAGES, int(MAX_TRIAL_VALIDATION_SHARE * images))
    )


def comparable(data: Dataset, seed: int, max_images: int = MAX_TRIAL_VALIDATION_IMAGES) -> Dataset:
    """Return `data` with at most `max_images` validation images as its test split, and the other images to train on."""
    if data.validation is not None and len(data.validation) >= MIN_TRIAL_VALIDATION_IMAGES:
        train, validation = data.train, _sample(data.validation, max_images, seed)
    else:
        images = replace(data, test=None).all_images()
        count = len(images)
        groups, rank = np.arange(count), index_ranks(count, seed)
        share = _validation_count(count) / count
        chosen = held_out(images.targets.strata(), groups, rank, groups, share, max_images)
        train, validation = images.take(np.setdiff1d(groups, chosen)), images.take(chosen)
    return replace(data, train=train, test=validation, validation=None, receipt=None)


def _sample(images: Samples, max_images: int, seed: int) -> Samples:
    """Return a random sample of at most `max_images`, which has at least one image of each class."""
    count = len(images)
    if count <= max_images:
        return images
    order = random_counter.order(count, seed, random_counter.TRIAL)
    _, first = np.unique(images.targets.strata()[order], return_index=True)
    chosen: NDArray[np.intp] = np.union1d(order[:max_images], order[first]).astype(np.intp)
    return images.take(chosen)
