"""Labels of any kind, and those that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin.apps.estimator import InputError
from opsin.apps.estimator.labels import check_labels, class_name, classes_of


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a", "b"], ["a", "b"]),
        ([10, 2, 2], [2, 10]),
        ([1.0, 0.0, 1.0], [0.0, 1.0]),
        ([True, False, True], [False, True]),
        (np.array(["x", "y", "x"], object), ["x", "y"]),
    ],
)
def test_classes_are_sorted_and_keep_their_type(y: Any, classes: list[Any]) -> None:
    labels = check_labels(y, 3)
    actual, numbers = classes_of(labels)
    assert actual.tolist() == classes and actual.dtype == labels.dtype
    assert actual[numbers].tolist() == list(y)


def test_a_column_is_accepted_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="A column-vector y was passed when a 1d array was expected"):
        assert check_labels([[1], [2]], 2).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (None, "requires y to be passed, but the target y is None"),
        ([1, 2], r"X holds 3 images, and y is \(2,\); give one label for each image"),
        ([[1, 2], [1, 2], [1, 2]], r"y is \(3, 2\)"),
        ([1.5, 2.5, 3.5], "Unknown label type: continuous numbers"),
        ([1.0, np.nan, 2.0], "y contains NaN or inf"),
        ([[1], [1, 2], 3], "y is not one label for each image"),
    ],
)
def test_invalid_labels_are_refused(y: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        check_labels(y, 3)


def test_one_class_and_mixed_kinds_are_refused() -> None:
    with pytest.raises(InputError, match=r"y holds 1 class only \('a'\), in 3 samples; training needs at least two"):
        classes_of(np.array(["a"] * 3, object))
    with pytest.raises(InputError, match="y mixes labels that cannot be sorted"):
        classes_of(np.array(["a", 1], object))


def test_class_names_are_escaped_text() -> None:
    assert [class_name(label) for label in (3, "hat", "a\nb")] == ["3", "hat", "a\\nb"]
