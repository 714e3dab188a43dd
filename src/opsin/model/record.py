"""The split of a data set that a model is measured on."""

from __future__ import annotations

from typing import Literal, TypeAlias

from opsin.data import Dataset, Samples

GROUPED_BY = "groups"
"""The key of a training record for the regular expression that named the groups of samples."""

Split: TypeAlias = Literal["test", "validation", "training", "left-out"]


def measured_on(data: Dataset) -> Split:
    """Return the split that measures a trained model: the test split, or `held_out_split` if there is none."""
    return "test" if data.test is not None else held_out_split(data)


def measured_images(data: Dataset) -> Samples:
    """Return the images of the split `measured_on`."""
    return data.test if data.test is not None else held_out(data)


def held_out_split(data: Dataset) -> Split:
    """Return the split that measures every epoch: validation, else test; training if the data has neither."""
    if data.validation is not None:
        return "validation"
    return "test" if data.test is not None else "training"


def held_out(data: Dataset) -> Samples:
    """Return the images of the split `held_out_split`."""
    if data.validation is not None:
        return data.validation
    return data.test if data.test is not None else data.train
