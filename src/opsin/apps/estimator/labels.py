"""Convert labels of any kind to class numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator.errors import InputError, column_warning
from opsin.data.items import printable


def check_labels(y: Any, count: int) -> NDArray[Any]:
    """Return a label for each of `count` images as an array. Raise `InputError` if y is anything else."""
    if y is None:
        raise InputError(
            "ImageClassifier requires y to be passed, but the target y is None; give a label for each image"
        )
    try:
        labels = np.asarray(y)
    except ValueError as error:
        raise InputError(f"y is not one label for each image ({error})") from None
    if labels.ndim == 2 and labels.shape[1] == 1:
        warnings.warn(column_warning(), stacklevel=4)
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != count:
        raise InputError(f"X holds {count} images, and y is {labels.shape}; give one label for each image")
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise InputError("y contains NaN or inf; give a label for each image")
        if (labels != np.rint(labels)).any():
            raise InputError("Unknown label type: continuous numbers; a classifier learns classes, such as 0, 1, 2")
    return labels


def classes_of(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return the sorted classes, and the class number of each label. Raise `InputError` for fewer than two classes."""
    try:
        classes, numbers = np.unique(labels, return_inverse=True)
    except TypeError:
        raise InputError("y mixes labels that cannot be sorted, such as text and numbers; make them all text") from None
    if len(classes) < 2:
        raise InputError(
            f"y holds 1 class only ({classes[0]!r}), in {len(labels)} samples; training needs at least two classes"
        )
    return classes, numbers.reshape(-1).astype(np.int32)


def class_name(label: Any) -> str:
    """Return the name of a class in the model."""
    return printable(str(label))
