"""Reports state what was measured, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.data import Dataset, LabeledImages
from opsin.model import Model
from opsin.report import ModelReport, sentences, text
from opsin.report.model_report import measure_classifier
from opsin.report.sentences import evidence, headline, next_steps
from tests.model.networks import small_model
from tests.report.support import TRICKY_NAMES, measured, scenes, subject


def test_figures_are_those_of_the_models_answers() -> None:
    (model, data), report = subject(), measured()
    probabilities = model.probabilities(data.test.pixels)
    right = probabilities.argmax(axis=1) == data.test.labels
    assert (report.accuracy.count, report.accuracy.total) == (right.sum(), 60)
    assert 0.6 < right.mean() < 1, "some answers should be wrong"
    assert report.evaluation.confusion.sum() == 60
    assert report.baseline[1].count == 20
    threshold = model.calibration.threshold if model.calibration else None
    assert threshold is not None and report.abstention is not None
    assert report.abstention.answered.count == (probabilities.max(axis=1) >= threshold).sum()
    assert report.abstention.right.count == (right & (probabilities.max(axis=1) >= threshold)).sum()


def test_mistakes_are_ordered_by_confidence() -> None:
    (model, data), report = subject(), measured()
    probabilities = model.probabilities(data.test.pixels)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != data.test.labels)
    order = wrong[np.argsort(-probabilities[wrong].max(axis=1))]
    count = max(6, int((probabilities[wrong].max(axis=1) >= 0.5).sum()))
    assert [example.name for example in report.mistakes] == [f"<i>{number}</i>.jpg" for number in order[:count]]
    for example in report.mistakes:
        number = int(example.name.removeprefix("<i>").partition("<")[0])
        assert (example.label, example.answer) == (
            TRICKY_NAMES[number % 3],
            TRICKY_NAMES[int(probabilities[number].argmax())],
        )
        assert example.label_probability < example.probability
        assert report.thumbnails[str(example.thumbnail)].startswith("data:image/png;base64,")


def test_cells_of_the_confusion_matrix_have_their_images() -> None:
    report = measured()
    for (label, answer), shown in report.confusion_examples.items():
        count = report.evaluation.confusion[label, answer]
        assert 0 < len(shown) <= count
        assert {(example.label, example.answer) for example in shown} == {(TRICKY_NAMES[label], TRICKY_NAMES[answer])}
    assert len(report.confusion_examples) == np.count_nonzero(report.evaluation.confusion)


def test_wrong_labels_in_the_training_split_are_found() -> None:
    model, data = subject()
    flipped = np.array([5, 31, 77, 100])
    labels = data.train.labels.copy()
    labels[flipped] = (labels[flipped] + 1) % 3
    mislabelled = replace(data, train=LabeledImages(data.train.pixels, labels, TRICKY_NAMES, data.train.names))
    model = replace(model, record={**model.record, "fingerprint": mislabelled.fingerprint}, _programs={})
    issues = measure_classifier(model, mislabelled, seconds=8).label_issues
    assert issues is not None
    assert (issues.checked, issues.images, issues.independent) == (120, 120, False)
    names = [example.name for example in issues.examples]
    assert sum(f"<i>{number}</i>.jpg" in names for number in flipped) >= 3
    assert all(example.label != example.answer for example in issues.examples)


def test_other_data_is_measured_as_a_whole() -> None:
    model, _ = subject()
    other = Dataset("others", scenes(60, 7, named=False), scenes(30, 8, named=False), predefined_split=False)
    report = measure_classifier(model, other, seconds=4)
    assert report.accuracy.total == 90
    assert not report.trained_here
    assert (report.learning_curve, report.history) == (None, ())
    assert report.label_issues is not None and report.label_issues.independent
    assert headline(report).endswith(" of the images of others.")
    assert report.mistakes[0].name.startswith("test image ")
    with pytest.raises(DataError, match="has a class 'fox'"):
        measure_classifier(
            model,
            Dataset("f", *[LabeledImages(other.test.pixels, other.test.labels, (*TRICKY_NAMES[:2], "fox"))] * 2, True),
        )


def test_a_report_is_plain_data() -> None:
    data = json.loads(json.dumps(measured().to_data()))
    assert data["accuracy"]["total"] == data["images"] == 60
    assert data["confusion"]["classes"] == list(TRICKY_NAMES)
    assert data["training"]["plan"]["seed"] == 3
    assert len(data["robustness"]["kinds"]) == 6
    assert data["speed"]["parameters"] > 0
    assert "thumbnail" not in json.dumps(data)
    assert data["receipt"] is None
    assert data["measured_on"] == "test"


def without(report: ModelReport, **fields: object) -> ModelReport:
    return replace(report, **fields)  # type: ignore[arg-type]


def test_sentences_state_the_figures() -> None:
    report = measured()
    share = report.accuracy
    assert headline(report) == f"Right on {100 * share.count / share.total:.0f}% of images it has never seen."
    assert evidence(report).startswith(
        f"{share.count} of 60 images were classified correctly; on similar images, expect between "
    )
    assert "This is a rough estimate, because there are few images to measure on." in evidence(report)
    assert "Below a probability of " in sentences.abstention(report)
    assert "Trained on half of the training images (60), it is right on " in sentences.learning_curve(report)
    issues = report.label_issues
    assert issues is not None
    assert "The network was trained on these labels" in sentences.label_issues(report) or issues.count == 0
    assert "Measured on all 60 images; without corruption, " in sentences.robustness(report)
    assert list(next_steps(report))[-1] == "Try it on your own images: opsin predict <model> IMAGE"
    assert "Set aside more images for testing: 60 leave a wide margin of error." in list(next_steps(report))


def test_what_was_not_measured_is_not_mentioned() -> None:
    bare = without(
        measured(), calibration=None, abstention=None, label_issues=None, learning_curve=None, robustness=None
    )
    sections = (sentences.abstention, sentences.label_issues, sentences.learning_curve, sentences.robustness)
    assert [section(bare) for section in sections] == [""] * 4


def test_a_useless_model_is_reported() -> None:
    data = subject()[1]
    model: Model = small_model()
    model.labels = TRICKY_NAMES
    state = {name: np.zeros_like(array) if name.startswith("head") else array for name, array in model.state.items()}
    model.load_state(state)
    report = measure_classifier(model, data, seconds=2)
    assert "That is no better than always answering “<b>cat</b>”" in evidence(report)
    assert next(next_steps(report)).startswith("Do not use it yet")


def test_other_splits_are_not_called_test_images() -> None:
    model, data = subject()
    own = replace(data, test=None, validation=None)
    report = measure_classifier(replace(model, _programs={}), own, seconds=0)
    assert (report.split, report.accuracy.total, report.diagnosis) == ("training", 120, None)
    assert headline(report).endswith(" of its own training images.")
    assert "; on new images, expect less." in evidence(report)
    assert "Measure it on images that it was not trained on: opsin evaluate <model> DATA" in list(next_steps(report))
    assert "never seen" not in "\n".join(text(report))
    assert data.validation is not None
    selected = measure_classifier(replace(model, _programs={}), replace(data, test=None), seconds=0)
    assert selected.split == "validation"
    assert headline(selected).endswith(" of the validation images, which also guided its training.")
    assert json.loads(json.dumps(selected.to_data()))["measured_on"] == "validation"
