"""Training records name the split on which accuracy was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.apps.cli.describe import accuracy
from opsin.apps.estimator import ImageClassifier
from opsin.data import Dataset
from opsin.model.record import evaluation_split, held_out_split, measured_on
from tests.apps.estimator.support import quick
from tests.model.networks import small_network
from tests.report.support import scenes

TRAIN, TEST, VALIDATION = scenes(24, 0), scenes(12, 1), scenes(9, 2)


@pytest.mark.parametrize(
    ("data", "split", "held_out"),
    [
        (Dataset("d", TRAIN, TEST, True, VALIDATION), "test", "validation"),
        (Dataset("d", TRAIN, TEST, True), "test", "test"),
        (Dataset("d", TRAIN, VALIDATION, True, VALIDATION), "validation", "validation"),
        (Dataset("d", TRAIN, TRAIN, True), "training", "training"),
    ],
)
def test_training_records_the_split(data: Dataset, split: str, held_out: str) -> None:
    assert (evaluation_split(data), held_out_split(data)) == (split, held_out)
    record = opsin.train(small_network(), data, epochs=1, batch=8).record
    assert (record["measured_on"], record["held_out_split"]) == (split, held_out)
    assert measured_on(record) == split


@pytest.mark.parametrize("record", [{}, {"test": {"images": 1}}, {"measured_on": "moon"}, {"measured_on": 3}])
def test_records_that_name_no_split_mean_test_images(record: dict[str, object]) -> None:
    assert measured_on(record) == "test"


def test_descriptions_name_the_split() -> None:
    test = {"images": 1200, "accuracy": 0.5, "loss": 1.0}
    assert (
        accuracy({"data": "photos", "test": test}) == "50.00% of 1,200 test images classified correctly"
    )  # as Opsin 0.1.0 wrote it
    assert (
        accuracy({"test": test, "measured_on": "validation"})
        == "50.00% of 1,200 validation images classified correctly"
    )
    interrupted = {"history": [{"held_out_accuracy": 0.25}], "held_out": 12}
    assert accuracy(interrupted) == "25.00% of 12 held-out images classified correctly"
    assert accuracy({**interrupted, "held_out_split": "training"}).startswith(
        "25.00% of 12 training images classified correctly, "
    )


@pytest.mark.filterwarnings("ignore:the model is no better")
@pytest.mark.parametrize(("count", "split", "measured"), [(6, "training", 6), (40, "validation", 4)])
def test_estimators_do_not_claim_test_accuracy(count: int, split: str, measured: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    model: ImageClassifier = quick(epochs=1).fit(pixels, np.arange(count) % 2)
    model.model_.save(tmp_path / "noise.opsin")
    record = opsin.load(tmp_path / "noise.opsin").record
    assert accuracy(record).partition(" images")[0].endswith(f" of {measured} {split}")


def test_a_dataset_with_a_copy_of_its_images_is_as_it_says() -> None:
    copy = replace(TRAIN, labels=TRAIN.labels.copy())
    assert evaluation_split(Dataset("d", TRAIN, copy, True)) == "test"
