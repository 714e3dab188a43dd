"""The arguments of an estimator's `fit` as a dataset, and the training plan for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from time import perf_counter
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.apps.estimator import files
from opsin.apps.estimator.arrays import ImageLayout, Shape, check_array
from opsin.base.errors import UsageError
from opsin.base.option_fields import declared_options
from opsin.data import Dataset, Samples, load
from opsin.data.ingest.duplicates import exact_duplicates
from opsin.data.ingest.split import MAX_VALIDATION_IMAGES, VALIDATION_SHARE, held_out, index_ranks
from opsin.data.items import Source
from opsin.data.load import load_source
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.data.store import DIGEST_BYTES
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import AUTO, NetworkChoice, TrainOptions
from opsin.planning.overrides import with_overrides
from opsin.planning.precision_choice import choose_precision
from opsin.training import Recipe, TrainingPlan
from opsin.training.quantization import with_qat


class Target(Protocol):
    """The argument y of `fit`, checked."""

    def images(self, pixels: NDArray[np.uint8]) -> Samples:
        """Return images, uint8 N×C×H×W, with their targets."""

    def source(self, paths: Sequence[str]) -> tuple[Source, str]:
        """Return a source of these files with their targets, and its key in the cache of decoded images."""

    def present(self, data: Dataset) -> Self:
        """Return the target without classes that `data` lacks."""


@dataclass(frozen=True, eq=False)
class FitInputs:
    """The inputs of `fit`: the data, the options, and the choice of a network.

    `choice` is None for a layer of the user. `target` is what y holds; None for data that has its own. `layout` says
    how arrays become images; None for files.
    """

    data: Dataset
    options: TrainOptions
    choice: NetworkChoice | None
    target: Any
    layout: ImageLayout | None = None


MakeTarget = Callable[[Any, int], Target]
"""From y and the number of images to the targets."""


def prepare_inputs(
    x: Any,
    y: Any,
    options: TrainOptions,
    is_layer: bool,
    image_shape: Shape | None,
    make_target: MakeTarget,
    request: TaskRequest,
) -> FitInputs:
    """Return the arguments of `fit` as a dataset. Raise `InputError` if they are not images with targets.

    `request` is what a single path is read for.
    """
    if files.is_source(x):
        return _from_source(x, y, options, is_layer, request)
    if files.is_paths(x):
        paths = files.paths_of(x)
        return _from_paths(paths, make_target(y, len(paths)), options, is_layer)
    if options.size is not None:
        raise UsageError(f"size={options.size} is for files; arrays are used as they are: resize them, or leave it out")
    array = check_array(x)
    return _from_arrays(array, make_target(y, len(array)), options, is_layer, image_shape)


def _from_source(
    source: str | os.PathLike[str], y: Any, options: TrainOptions, is_layer: bool, request: TaskRequest
) -> FitInputs:
    if y is not None:
        raise UsageError(f"{source} has its own labels; leave y out, or give a list of paths")
    opened = open_source(source, None, request)
    choice = None if is_layer else networks.choose_network(DatasetSummary.of(opened), options)
    preprocessing, size = choice.preprocessing if choice else None, _size(choice, options)
    data = load(source, preprocessing, size=size, task=request.task, target=request.columns)
    return FitInputs(data, options, choice, None)


def _from_paths(paths: list[str], target: Target, options: TrainOptions, is_layer: bool) -> FitInputs:
    source, key = target.source(paths)
    choice = None if is_layer else networks.choose_network(DatasetSummary.of(source), options)
    data = load_source(source, key, choice.preprocessing if choice else None, _size(choice, options), options.seed)
    return FitInputs(files.without_test(data), options, choice, target.present(data))


def _size(choice: NetworkChoice | None, options: TrainOptions) -> int | None:
    """Return the side that files are resized to; None if published weights or the files decide it."""
    if choice is None:
        return options.size
    return None if choice.preprocessing else choice.size


def _from_arrays(
    array: NDArray[Any], target: Target, options: TrainOptions, is_layer: bool, image_shape: Shape | None
) -> FitInputs:
    layout = ImageLayout.of(array, image_shape, enlarge=not is_layer)
    data = _split_dataset(target.images(layout.pixels(array, "the estimator")), options.seed)
    if not layout.is_image and options.augment is None:
        options = replace(options, augment="none")
    choice = None if is_layer else networks.choose_network(replace(DatasetSummary.of(data), resizable=False), options)
    return FitInputs(data, options, choice, target, layout)


def _split_dataset(images: Samples, seed: int) -> Dataset:
    """Hold out about a tenth of each class for validation and calibration. Equal images stay together.

    If there are too few images for that, there is no validation split. There is no test split.
    """
    count, strata = len(images), images.targets.strata()
    groups = len(np.unique(strata))
    if VALIDATION_SHARE * count >= groups:
        digests = b"".join(blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in images.pixels[:])
        duplicates = exact_duplicates(np.frombuffer(digests, np.uint8).reshape(count, DIGEST_BYTES))
        indices, rank = np.arange(count), index_ranks(count, seed)
        validation_indices = held_out(strata, duplicates, rank, indices, VALIDATION_SHARE, MAX_VALIDATION_IMAGES)
        training_indices = np.setdiff1d(indices, validation_indices)
        if len(validation_indices) and len(np.unique(strata[training_indices])) == groups:
            validation = images.take(validation_indices)
            return Dataset("the arrays", images.take(training_indices), None, False, validation)
    return Dataset("the arrays", images, None, False)


def policy_for(
    inputs: FitInputs, network: nn.Layer | None, elapsed_seconds: float
) -> tuple[TrainingPlan, float | None]:
    """Return the plan, and how many seconds it may take from now (None: no limit).

    `elapsed_seconds` are the seconds since `fit` was called. Raise `UsageError` if the options do not fit the network.
    """
    begin, options = perf_counter(), inputs.options
    plan, deadline = _policy(inputs, network, elapsed_seconds)
    if options.precision != AUTO:
        return plan, deadline
    precision = choose_precision(plan, inputs.data, network=network, threads=options.threads)
    decided = replace(inputs, options=replace(options, precision=precision.name))
    plan, deadline = _policy(decided, network, elapsed_seconds + perf_counter() - begin)
    return precision.applied(plan), deadline


def _policy(inputs: FitInputs, network: nn.Layer | None, elapsed_seconds: float) -> tuple[TrainingPlan, float | None]:
    """Return the plan in float32 unless the options name another precision, and its time limit."""
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
    training_plan = with_qat(training_plan) if options.qat else training_plan
    return training_plan, options.budget - elapsed_seconds if options.budget else None
