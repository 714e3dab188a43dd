"""What an estimator's `fit` was given, as a dataset, with the plan for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.apps.estimator import files, labels
from opsin.apps.estimator.arrays import ImageLayout, Shape
from opsin.apps.estimator.arrays import checked as checked_arrays
from opsin.base.errors import UsageError
from opsin.data import Dataset, LabeledImages, load
from opsin.data.ingest.duplicates import exact_duplicates
from opsin.data.ingest.split import MAX_VALIDATION_IMAGES, VALIDATION_SHARE, held_out, index_ranks
from opsin.data.load import load_source
from opsin.data.sources import open_source
from opsin.data.store import DIGEST_BYTES
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.planning.overrides import overridden
from opsin.training import Recipe, TrainingPlan

OWN = (
    "epochs", "batch", "learning_rate", "optimizer", "momentum", "weight_decay", "schedule", "flip", "augment", "size",
    "budget", "seed", "threads", "mirrored", "search", "exact",
)  # fmt: skip
"""What can be asked for a network of one's own."""


@dataclass(frozen=True, eq=False)
class FitInputs:
    """`data` to learn from, what is asked for (`wishes`), and `outline` of the network for it (None: one's own).

    `classes` are the labels as they were given, `names` what the model calls them; `form` is how arrays become
    images.
    """

    data: Dataset
    wishes: TrainOptions
    outline: NetworkChoice | None
    classes: NDArray[Any]
    names: tuple[str, ...]
    form: ImageLayout | None = None


def material(x: Any, y: Any, wishes: TrainOptions, own: bool, image_shape: Shape | None) -> FitInputs:
    """From what `fit` takes; `own` says that the network is a layer of one's own. `InputError` where it is no data."""
    if files.is_source(x):
        return _from_source(x, y, wishes, own)
    if files.is_paths(x):
        return _from_paths(files.paths_of(x), y, wishes, own)
    if wishes.size is not None:
        raise UsageError(f"size={wishes.size} is for files; arrays are used as they are: resize them, or leave it out")
    return _from_arrays(x, y, wishes, own, image_shape)


def _from_source(source: str | os.PathLike[str], y: Any, wishes: TrainOptions, own: bool) -> FitInputs:
    if y is not None:
        raise UsageError(f"{source} says itself what its images show; leave y out, or give a list of paths")
    outline = None if own else networks.outline(DatasetSummary.of(open_source(source)), wishes)
    data = load(source, outline.preprocessing if outline else None, size=_size(outline, wishes))
    return FitInputs(data, wishes, outline, np.array(data.classes), data.classes)


def _from_paths(paths: list[str], y: Any, wishes: TrainOptions, own: bool) -> FitInputs:
    given = labels.checked(y, len(paths))
    labels.classes_of(given)
    names = [labels.name_of(label) for label in given.tolist()]
    source, key = files.listed(paths, names)
    outline = None if own else networks.outline(DatasetSummary.of(source), wishes)
    data = load_source(source, key, outline.preprocessing if outline else None, _size(outline, wishes), wishes.seed)
    known = np.isin(names, data.classes)  # of some classes, no image may be readable
    classes, _ = labels.classes_of(given[known])
    return FitInputs(files.without_test(data), wishes, outline, classes, _names(classes))


def _size(outline: NetworkChoice | None, wishes: TrainOptions) -> int | None:
    """The side of squares that files are to become; None where a published network says more, or the files do."""
    if outline is None:
        return wishes.size
    return None if outline.preprocessing else outline.size


def _from_arrays(x: Any, y: Any, wishes: TrainOptions, own: bool, image_shape: Shape | None) -> FitInputs:
    array = checked_arrays(x)
    classes, numbers = labels.classes_of(labels.checked(y, len(array)))
    form = ImageLayout.of(array, image_shape, enlarge=not own)
    names = _names(classes)
    data = _divided(form.pixels(array, "the estimator"), numbers, names, wishes.seed)
    if not form.image and wishes.augment is None:
        wishes = replace(wishes, augment="none")
    outline = None if own else networks.outline(replace(DatasetSummary.of(data), resizable=False), wishes)
    return FitInputs(data, wishes, outline, classes, names, form)


def _names(classes: NDArray[Any]) -> tuple[str, ...]:
    return tuple(labels.name_of(label) for label in classes.tolist())


def _divided(pixels: NDArray[np.uint8], numbers: NDArray[np.int32], names: tuple[str, ...], seed: int) -> Dataset:
    """About a tenth of each class apart, to choose and calibrate by, with equal images on one side.

    Where there are too few images for that, how well training goes is measured on those that are learnt from.
    """
    images, count = LabeledImages(pixels, numbers, names), len(numbers)
    if VALIDATION_SHARE * count >= len(images.classes):
        digests = b"".join(blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in pixels)
        groups = exact_duplicates(np.frombuffer(digests, np.uint8).reshape(count, DIGEST_BYTES))
        everything, rank = np.arange(count), index_ranks(count, seed)
        apart = held_out(images.labels, groups, rank, everything, VALIDATION_SHARE, MAX_VALIDATION_IMAGES)
        rest = np.setdiff1d(everything, apart)
        if len(apart) and len(np.unique(images.labels[rest])) == len(images.classes):
            validation = images.take(apart)
            return Dataset("the arrays", images.take(rest), validation, True, validation)
    return Dataset("the arrays", images, images, True)


def plan_for(made: FitInputs, network: nn.Layer | None, spent: float) -> tuple[TrainingPlan, float | None]:
    """The plan, `spent` seconds after `fit` was called, and how many seconds it may take from now (None: as many as it
    does). `UsageError` where what is asked for does not fit.
    """
    wishes, outline = made.wishes, made.outline
    if outline is not None:
        choice = autoconfig.choose(outline, made.data, wishes, spent)
        return choice.plan, choice.deadline
    for name, value in vars(wishes).items():
        if name not in OWN and value is not None:
            raise UsageError(f"{name}={value!r} is for networks of the zoo; leave it out with a network of your own")
    recipe = Recipe(wishes.epochs, wishes.batch, wishes.learning_rate, wishes.seed)
    images = made.data.train
    plan = with_optimizer(recipe.plan(type(network).__name__, len(images)), wishes, len(images))
    plan = overridden(plan, replace(wishes, class_weights=False), images.counts())
    return plan, wishes.budget - spent if wishes.budget else None
