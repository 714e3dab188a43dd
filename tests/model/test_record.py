"""Training records name the split on which accuracy was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.apps.cli.describe import result
from opsin.apps.estimator import ImageClassifier
from opsin.data import Dataset
from opsin.model.record import held_out_split, measured_images, measured_on
from opsin.report import measure_model
from opsin.runs.listing import summary
from opsin.training import Event, Finished
from tests.apps.estimator.support import quick
from tests.model.networks import small_network
from tests.report.support import scenes

TRAIN, TEST, VALIDATION = scenes(24, 0), scenes(12, 1), scenes(9, 2)


@pytest.mark.parametrize(
    ("data", "split", "held_out"),
    [
        (Dataset("d", TRAIN, TEST, True, VALIDATION), "test", "validation"),
        (Dataset("d", TRAIN, TEST, True), "test", "test"),
        (Dataset("d", TRAIN, None, True, VALIDATION), "validation", "validation"),
        (Dataset("d", TRAIN, None, True), "training", "training"),
        (Dataset("d", TRAIN, TRAIN, True), "test", "test"),
    ],
)
def test_training_records_the_split(data: Dataset, split: str, held_out: str) -> None:
    assert (measured_on(data), held_out_split(data)) == (split, held_out)
    events: list[Event] = []
    record = opsin.train(small_network(), data, epochs=1, batch=8, on_event=events.append).record
    assert (record["measured_on"], record["held_out_split"]) == (split, held_out)
    assert [name for name in ("test", "validation", "training") if name in record] == [split]
    assert record[split]["images"] == len(measured_images(data))
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.test is None) == (split != "test")


def test_a_run_without_a_test_split_is_listed_without_a_test_accuracy(tmp_path: Path) -> None:
    opsin.train(small_network(), Dataset("d", TRAIN, None, True), epochs=1, batch=8, run=tmp_path / "run")
    listed = summary(tmp_path / "run")
    assert (listed.state, listed.test) == ("finished", None)
    assert listed.validation is not None


def test_a_report_without_a_test_split_measures_the_validation_split() -> None:
    data = Dataset("d", TRAIN, None, True, VALIDATION)
    model = opsin.train(small_network(), data, epochs=1, batch=8)
    report = measure_model(model, data, seconds=0.1)
    assert (report.split, report.accuracy.total) == ("validation", len(VALIDATION))


def test_descriptions_name_the_split() -> None:
    test = {"images": 1200, "accuracy": 0.5, "loss": 1.0}
    assert (
        result({"data": "photos", "test": test}) == "50.00% of 1,200 test images classified correctly"
    )  # as Opsin 0.1.0 wrote it
    assert (
        result({"test": test, "measured_on": "validation"}) == "50.00% of 1,200 validation images classified correctly"
    )
    interrupted = {"history": [{"held_out_accuracy": 0.25}], "held_out": 12}
    assert result(interrupted) == "25.00% of 12 held-out images classified correctly"
    assert result({**interrupted, "held_out_split": "training"}).startswith(
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
    assert result(record).partition(" images")[0].endswith(f" of {measured} {split}")
