"""The images that a training without labels has before one on classes: those of a folder, and those with labels."""

from __future__ import annotations

import os

import numpy as np

from opsin.base.errors import DataError
from opsin.base.path_words import has_image_ending
from opsin.data import AnnotatedImages, Dataset, Samples
from opsin.data.items import Source
from opsin.data.load import load_opened
from opsin.data.pixels import concatenate
from opsin.data.sources.annotated import AnnotatedSource, read_as
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.tasks.registry import SELF_SUPERVISED
from opsin.tasks.self_supervised.reader import MIN_IMAGES
from opsin.tasks.self_supervised.targets import Unlabelled

UNLABELLED = "unlabelled"
"""The entry of a run's data that says how the images with labels were opened, if it learns without them."""

TRAINING_SPLIT = "the training split"
"""The name of the folder of images that have labels, which are not used."""


def unlabelled_images(opened: Source | Dataset) -> AnnotatedSource | None:
    """Return the images without labels next to those of classes; None if there are fewer than `MIN_IMAGES`."""
    tree = getattr(opened, "unlabelled", None)
    if tree is None or sum(map(has_image_ending, tree.paths)) < MIN_IMAGES:
        return None
    return read_as(tree, SELF_SUPERVISED, ())


def load_both(unlabelled: AnnotatedSource, labelled: Samples, source: str, size: int | None) -> Dataset:
    """Return a dataset of images without labels and the images of a training split; some of the former validate."""
    data = load_opened(unlabelled, os.path.join(source, unlabelled.name), size=size)
    names = (*data.train.targets.names, TRAINING_SPLIT)
    others = [part for part in (data.train, data.test) if part is not None]
    folders = [*(part.targets.folders for part in others), np.full(len(labelled), len(names) - 1, np.int32)]
    pixels = concatenate([*(part.pixels for part in others), labelled.pixels])
    train = AnnotatedImages(pixels, Unlabelled(np.concatenate(folders), names), data.task)
    return Dataset(data.name, train, None, False, data.validation)


def load_both_again(source: str, size: int | None, request: TaskRequest) -> Dataset:
    """Return what `load_both` returned when a run began. Raise `DataError` if the images without labels are gone."""
    opened = open_source(source, None, request)
    unlabelled = unlabelled_images(opened)
    if unlabelled is None:
        raise DataError(
            f"{source} has no folder of images without labels, from which the run learned; bring it back, or start a "
            "new run"
        )
    return load_both(unlabelled, load_opened(opened, source, size=size).train, source, size)
