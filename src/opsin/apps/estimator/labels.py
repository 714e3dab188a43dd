"""Convert labels of any kind to class numbers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator import files
from opsin.apps.estimator.errors import InputError, column_warning
from opsin.data import Dataset, LabeledImages
from opsin.data.items import Source, printable


@dataclass(frozen=True, eq=False)
class ClassTarget:
    """`labels` are N labels in their original type, and `classes` the different ones, sorted."""

    labels: NDArray[Any]
    classes: NDArray[Any]

    @classmethod
    def of(cls, y: Any, count: int) -> ClassTarget:
        """Return the labels in y for `count` images. Raise `InputError` if y is anything else."""
        labels = check_labels(y, count)
        return cls(labels, classes_of(labels)[0])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes in the model."""
        return tuple(class_name(label) for label in self.classes.tolist())

    def images(self, pixels: NDArray[np.uint8]) -> LabeledImages:
        """Return images, uint8 N×C×H×W, with their labels."""
        return LabeledImages(pixels, classes_of(self.labels)[1], self.names)

    def source(self, paths: Sequence[str]) -> tuple[Source, str]:
        """Return a source of these files with their labels, and its key in the cache of decoded images."""
        return files.source_of(paths, [class_name(label) for label in self.labels.tolist()])

    def present(self, data: Dataset) -> ClassTarget:
        """Return the target with the classes of `data` only: of some, no image may be readable."""
        names = [class_name(label) for label in self.labels.tolist()]
        return ClassTarget(self.labels, classes_of(self.labels[np.isin(names, data.classes)])[0])


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
        warnings.warn(column_warning(), stacklevel=6)
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
