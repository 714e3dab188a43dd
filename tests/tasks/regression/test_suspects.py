"""Numbers to check: those that contradict the answer and similar images."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.tasks.regression import Quantities, Regression
from opsin.tasks.regression.evaluation import RegressionEvaluation
from opsin.tasks.regression.intervals import Intervals
from opsin.tasks.regression.results import Results
from opsin.tasks.regression.suspects import NEIGHBOURS, doubtful, suspects

UNORDERED = np.full(6, -1, np.int64)
ANSWERS = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [0.5]])
GIVEN = np.array([[0.0], [0.1], [2.2], [0.3], [-1.6], [0.65]])
"""Images 2 and 4 have wrong numbers, and the error for image 5 is larger than the margin, but not by far."""

RESULTS = Results(ANSWERS, GIVEN, UNORDERED)
EVALUATION = RegressionEvaluation(
    ("angle",), ("",), RESULTS, np.zeros(1), np.ones(1), Intervals((0.1,), 50)
)  # fmt: skip


def similar(*centres: float) -> Quantities:
    """Return the numbers of images like each of several, near these centres."""
    spread = np.linspace(-0.05, 0.05, NEIGHBOURS)
    return Quantities(np.concatenate([centre + spread for centre in centres])[:, None])


def test_errors_far_beyond_the_interval_are_doubtful_the_largest_first() -> None:
    assert doubtful(RESULTS, (0.1,), np.ones(1)).ravel().tolist() == [False, False, True, False, True, False]
    assert EVALUATION.doubtful_images() == [2, 4]


def test_numbers_that_similar_images_contradict_are_to_be_checked() -> None:
    (section,) = EVALUATION.neighbour_sections([2, 4], similar(0.2, 0.4))
    assert section.heading == "Numbers to check"
    assert [example.image for example in section.examples] == [2, 4]
    assert section.examples[0].caption == (
        "angle is given as 2.2; the answer is 0.2, 20.0 margins away, and similar images have 0.15 to 0.25"
    )
    assert section.paragraphs[0].startswith("2 numbers are far from the answer, by more than 2 times the margin")


@pytest.mark.parametrize(
    ("centre", "reason"), [(2.2, "they have the given number"), (1.4, "they are nearer to it"), (2.15, "it is among")]
)
def test_numbers_of_which_similar_images_say_something_else_are_not_suspects(centre: float, reason: str) -> None:
    found = suspects(RESULTS, (0.1,), np.ones(1), [2], similar(centre).values.reshape(1, NEIGHBOURS, 1))
    assert found == [], reason


def test_numbers_that_vary_among_similar_images_are_not_suspects() -> None:
    varying = np.array([0.2, 0.1, 2.5, -1.0, 0.3]).reshape(1, NEIGHBOURS, 1)
    assert suspects(RESULTS, (0.1,), np.ones(1), [2], varying) == []


def test_each_quantity_is_judged_on_its_own() -> None:
    answers, given = np.zeros((3, 2)), np.zeros((3, 2))
    given[1, 1] = 9.0
    results = Results(answers, given, UNORDERED[:3])
    (found,) = suspects(results, (0.5, 0.5), np.ones(2), [1], np.zeros((1, NEIGHBOURS, 2)))
    assert (found.image, found.quantity, found.strength) == (1, 1, 18.0)


def test_margins_of_nothing_are_not_believed() -> None:
    """A network that is always right on the validation split has errors of rounding elsewhere."""
    results = Results(np.zeros((2, 1)), np.array([[0.01], [3.0]]), UNORDERED[:2])
    assert doubtful(results, (0.0,), np.ones(1)).ravel().tolist() == [False, True]


def test_without_intervals_nothing_is_doubted() -> None:
    task = Regression(("angle",), ("",), (0.0,), (1.0,), (False,))
    evaluation = task.evaluate([RESULTS], None)
    assert evaluation.doubtful_images() == []
    assert evaluation.neighbour_sections([2], similar(0.2)) == []
