"""Targets that similar images contradict, found in a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin import nn, report
from opsin.data import AnnotatedImages, Dataset, Preprocessing
from opsin.model import Model
from opsin.report.neighbours import nearest_rows, sections_by_neighbours
from opsin.report.task_report import measure_task
from opsin.tasks.regression import Quantities, Regression
from opsin.tasks.regression.intervals import Intervals
from opsin.tasks.segmentation import Masks, SemanticSegmentation
from tests.model.networks import reference
from tests.report.html_checker import checked_page

TASK = Regression(("brightness",), ("",), (0.0,), (1.0,), (False,))
WRONG = (3, 11)
SIDE = 6


def shades(count: int, seed: int, wrong: tuple[int, ...] = ()) -> AnnotatedImages:
    """Return images of a red shade with some noise, whose number is the shade, or its negative if it is wrong."""
    rng = np.random.default_rng(seed)
    shade = rng.uniform(0.3, 0.9, count)
    pixels = np.zeros((count, 3, SIDE, SIDE))
    pixels[:, 0] = 255 * shade[:, None, None] + rng.normal(0, 4, (count, SIDE, SIDE))
    pixels[:, 1] = rng.integers(0, 20, (count, SIDE, SIDE))
    signs = np.where(np.isin(np.arange(count), wrong), -1, 1)
    names = tuple(f"{number}.png" for number in range(count))
    return AnnotatedImages(pixels.round().astype(np.uint8), Quantities((signs * shade)[:, None]), TASK, names)


@pytest.fixture(scope="module")
def subject() -> tuple[Model, Dataset]:
    """Return a model that measures the shade of red, and data with two wrong numbers in the test split."""
    network = nn.Sequential(
        ("conv", nn.Conv2d(4, 1)), ("pool", nn.GlobalAvgPool2d()), ("flat", nn.Flatten()), ("head", nn.Linear(1))
    )
    graph = nn.trace(network, (3, SIDE, SIDE))
    state = {name: np.zeros([int(str(size)) for size in tensor.shape], np.float32)
             for name, tensor in graph.variables.items()}  # fmt: skip
    state["conv.weight"][0, 0] = state["conv.weight"][1, 1] = 1.0
    state["head.weight"][0, 0] = 1.0
    data = Dataset("shades", shades(80, 0), shades(30, 1, WRONG), True, shades(20, 2))
    preprocessing = Preprocessing(3, SIDE, SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    model = Model(
        "shade", graph, state, preprocessing, TASK, nn.layer_kinds(network), {"fingerprint": data.fingerprint},
        name="shade.opsin", engine=reference, calibration=Intervals((0.05,), 20),
    )  # fmt: skip
    return model, data


def test_a_report_names_the_numbers_to_check(subject: tuple[Model, Dataset]) -> None:
    written = measure_task(*subject, seconds=2)
    (section,) = [section for section in written.sections if section.heading == "Numbers to check"]
    assert sorted(example.image for example in section.examples) == list(WRONG)
    assert all(number in written.drawn for number in WRONG)
    words = "".join(checked_page(report.page(written)).words)
    assert section.examples[0].caption in words and "3.png" in words


def test_other_data_is_compared_with_itself(subject: tuple[Model, Dataset]) -> None:
    model, data = subject
    assert data.test is not None
    written = measure_task(model, replace(data, train=shades(50, 5, WRONG), test=None, validation=None), seconds=2)
    assert not written.trained_here
    (section,) = [section for section in written.sections if section.heading == "Numbers to check"]
    assert sorted(example.image for example in section.examples) == list(WRONG)


def test_few_references_and_other_tasks_show_nothing(subject: tuple[Model, Dataset]) -> None:
    model, data = subject
    assert data.test is not None
    evaluation = model.evaluate(data.test)
    assert sections_by_neighbours(model, evaluation, data.test, data.train, 1.0)
    assert sections_by_neighbours(model, evaluation, data.test, shades(49, 3), 1.0) == []
    right = shades(30, 4)
    assert sections_by_neighbours(model, model.evaluate(right), right, data.train, 1.0) == []
    masks = SemanticSegmentation(("a", "b"))
    logits = {"logits": np.zeros((2, 2, 4, 4), np.float32)}
    other = masks.evaluate([masks.reduce(logits, Masks(np.zeros((2, 4, 4), np.uint8)))], None)
    assert sections_by_neighbours(model, other, data.test, data.train, 1.0) == []


def test_the_nearest_rows_are_found() -> None:
    others = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0.9, 0.2]], np.float32)
    rows, none = np.array([[0.8, 0.2], [-3, 0]], np.float32), np.zeros((2, 5), bool)
    assert nearest_rows(rows, others, none, 2).tolist() == [[4, 0], [2, 1]]
    assert nearest_rows(rows, others, np.eye(2, 5, 4, dtype=bool), 1).tolist() == [[0], [2]]
