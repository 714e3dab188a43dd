"""The arguments of an estimator's `fit` as a dataset, and the training plan for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.apps.estimator import files
from opsin.apps.estimator.arrays import ImageLayout, Shape, check_array
from opsin.apps.estimator.labels import check_labels, class_name, classes_of
from opsin.base.errors import UsageError
from opsin.base.option_fields import declared_options
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
from opsin.planning.overrides import with_overrides
from opsin.training import Recipe, TrainingPlan


@dataclass(frozen=True, eq=False)
class FitInputs:
    """The inputs of `fit`: the data, the options, and the choice of a network.

    `choice` is None for a layer of the user. `classes` are the labels in their original type, and `names` their names
    in the model. `layout` says how arrays become images; None for files.
    """

    data: Dataset
    options: TrainOptions
    choice: NetworkChoice | None
    classes: NDArray[Any]
    names: tuple[str, ...]
    layout: ImageLayout | None = None


def prepare_inputs(x: Any, y: Any, options: TrainOptions, is_layer: bool, image_shape: Shape | None) -> FitInputs:
    """Return the arguments of `fit` as a dataset. Raise `InputError` if they are not labelled images.

    `is_layer` says that the network is a layer of the user.
    """
    if files.is_source(x):
        return _from_source(x, y, options, is_layer)
    if files.is_paths(x):
        return _from_paths(files.paths_of(x), y, options, is_layer)
    if options.size is not None:
        raise UsageError(f"size={options.size} is for files; arrays are used as they are: resize them, or leave it out")
    return _from_arrays(x, y, options, is_layer, image_shape)


def _from_source(source: str | os.PathLike[str], y: Any, options: TrainOptions, is_layer: bool) -> FitInputs:
    if y is not None:
        raise UsageError(f"{source} has its own labels; leave y out, or give a list of paths")
    choice = None if is_layer else networks.choose_network(DatasetSummary.of(open_source(source)), options)
    data = load(source, choice.preprocessing if choice else None, size=_size(choice, options))
    return FitInputs(data, options, choice, np.array(data.classes), data.classes)


def _from_paths(paths: list[str], y: Any, options: TrainOptions, is_layer: bool) -> FitInputs:
    labels = check_labels(y, len(paths))
    classes_of(labels)  # refuses fewer than two classes before any image is read
    names = [class_name(label) for label in labels.tolist()]
    source, key = files.source_of(paths, names)
    choice = None if is_layer else networks.choose_network(DatasetSummary.of(source), options)
    data = load_source(source, key, choice.preprocessing if choice else None, _size(choice, options), options.seed)
    is_present = np.isin(names, data.classes)  # of some classes, no image may be readable
    classes, _ = classes_of(labels[is_present])
    return FitInputs(files.without_test(data), options, choice, classes, _names(classes))


def _size(choice: NetworkChoice | None, options: TrainOptions) -> int | None:
    """Return the side that files are resized to; None if published weights or the files decide it."""
    if choice is None:
        return options.size
    return None if choice.preprocessing else choice.size


def _from_arrays(x: Any, y: Any, options: TrainOptions, is_layer: bool, image_shape: Shape | None) -> FitInputs:
    array = check_array(x)
    classes, numbers = classes_of(check_labels(y, len(array)))
    layout = ImageLayout.of(array, image_shape, enlarge=not is_layer)
    names = _names(classes)
    data = _split_dataset(layout.pixels(array, "the estimator"), numbers, names, options.seed)
    if not layout.is_image and options.augment is None:
        options = replace(options, augment="none")
    choice = None if is_layer else networks.choose_network(replace(DatasetSummary.of(data), resizable=False), options)
    return FitInputs(data, options, choice, classes, names, layout)


def _names(classes: NDArray[Any]) -> tuple[str, ...]:
    return tuple(class_name(label) for label in classes.tolist())


def _split_dataset(pixels: NDArray[np.uint8], numbers: NDArray[np.int32], names: tuple[str, ...], seed: int) -> Dataset:
    """Hold out about a tenth of each class for validation and calibration. Equal images stay together.

    If there are too few images for that, there is no validation split. There is no test split.
    """
    images, count = LabeledImages(pixels, numbers, names), len(numbers)
    if VALIDATION_SHARE * count >= len(images.classes):
        digests = b"".join(blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in pixels)
        groups = exact_duplicates(np.frombuffer(digests, np.uint8).reshape(count, DIGEST_BYTES))
        indices, rank = np.arange(count), index_ranks(count, seed)
        validation_indices = held_out(images.labels, groups, rank, indices, VALIDATION_SHARE, MAX_VALIDATION_IMAGES)
        training_indices = np.setdiff1d(indices, validation_indices)
        if len(validation_indices) and len(np.unique(images.labels[training_indices])) == len(images.classes):
            validation = images.take(validation_indices)
            return Dataset("the arrays", images.take(training_indices), None, False, validation)
    return Dataset("the arrays", images, None, False)


def policy_for(
    inputs: FitInputs, network: nn.Layer | None, elapsed_seconds: float
) -> tuple[TrainingPlan, float | None]:
    """Return the plan, and how many seconds it may take from now (None: no limit).

    `elapsed_seconds` are the seconds since `fit` was called. Raise `UsageError` if the options do not fit the network.
    """
    options, choice = inputs.options, inputs.choice
    if choice is not None:
        plan = autoconfig.choose(choice, inputs.data, options, elapsed_seconds)
        return plan.plan, plan.deadline
    for name, default, option in declared_options(TrainOptions):
        value = getattr(options, name)
        if option.zoo_only and value != default:
            raise UsageError(f"{name}={value!r} is for networks of the zoo; leave it out with a network of your own")
    recipe = Recipe(options.epochs, options.batch, options.learning_rate, options.seed)
    images = inputs.data.train
    training_plan = with_optimizer(recipe.plan(type(network).__name__, len(images)), options, len(images))
    training_plan = with_overrides(training_plan, replace(options, class_weights=False), images.counts())
    return training_plan, options.budget - elapsed_seconds if options.budget else None
