"""The account of a model: what it says is what the model does, and no more than that."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.data import Dataset, LabeledImages
from opsin.model import Model
from opsin.report import ModelReport
from opsin.report.model_report import measure_model
from opsin.report.sentences import certainty, doubts, fragility, more_images, next_steps, not_knowing, verdict
from tests.model.networks import small_model
from tests.report.support import NASTY, measured, scenes, subject


def test_what_is_counted_is_what_the_model_says() -> None:
    (model, data), made = subject(), measured()
    shares = model.probabilities(data.test.pixels)
    right = shares.argmax(axis=1) == data.test.labels
    assert (made.accuracy.count, made.accuracy.total) == (right.sum(), 60)
    assert 0.6 < right.mean() < 1, "the material should leave something to find"
    assert made.evaluation.confusion.sum() == 60
    assert made.baseline[1].count == 20
    threshold = model.calibration.threshold if model.calibration else None
    assert threshold is not None and made.known is not None
    assert made.known.answered.count == (shares.max(axis=1) >= threshold).sum()
    assert made.known.right.count == (right & (shares.max(axis=1) >= threshold)).sum()


def test_mistakes_are_named_the_surest_first() -> None:
    (model, data), made = subject(), measured()
    shares = model.probabilities(data.test.pixels)
    wrong = np.flatnonzero(shares.argmax(axis=1) != data.test.labels)
    order = wrong[np.argsort(-shares[wrong].max(axis=1))]
    sure = max(6, int((shares[wrong].max(axis=1) >= 0.5).sum()))
    assert [seen.name for seen in made.mistakes] == [f"<i>{number}</i>.jpg" for number in order[:sure]]
    for seen in made.mistakes:
        number = int(seen.name.removeprefix("<i>").partition("<")[0])
        assert (seen.label, seen.answer) == (NASTY[number % 3], NASTY[int(shares[number].argmax())])
        assert seen.given < seen.probability
        assert made.thumbnails[str(seen.thumbnail)].startswith("data:image/png;base64,")


def test_cells_hold_their_images() -> None:
    made = measured()
    for (label, answer), shown in made.cells.items():
        count = made.evaluation.confusion[label, answer]
        assert 0 < len(shown) <= count
        assert {(seen.label, seen.answer) for seen in shown} == {(NASTY[label], NASTY[answer])}
    assert len(made.cells) == np.count_nonzero(made.evaluation.confusion)


def test_wrong_labels_in_the_training_part_are_found() -> None:
    model, data = subject()
    flipped = np.array([5, 31, 77, 100])
    labels = data.train.labels.copy()
    labels[flipped] = (labels[flipped] + 1) % 3
    bad = replace(data, train=LabeledImages(data.train.pixels, labels, NASTY, data.train.names))
    model = replace(model, record={**model.record, "fingerprint": bad.fingerprint}, _programs={})
    found = measure_model(model, bad, seconds=8).suspects
    assert found is not None
    assert (found.looked_at, found.images, found.unseen) == (120, 120, False)
    names = [seen.name for seen in found.ranked]
    assert sum(f"<i>{number}</i>.jpg" in names for number in flipped) >= 3
    assert all(seen.label != seen.answer for seen in found.ranked)


def test_other_data_is_judged_as_a_whole() -> None:
    model, _ = subject()
    other = Dataset("others", scenes(60, 7, named=False), scenes(30, 8, named=False), predefined_split=False)
    made = measure_model(model, other, seconds=4)
    assert made.accuracy.total == 90
    assert not made.trained_here
    assert (made.learning_curve, made.history) == (None, ())
    assert made.suspects is not None and made.suspects.unseen
    assert verdict(made).endswith(" of the images of others.")
    assert made.mistakes[0].name.startswith("test image ")
    with pytest.raises(DataError, match="has a class 'fox'"):
        measure_model(
            model, Dataset("f", *[LabeledImages(other.test.pixels, other.test.labels, (*NASTY[:2], "fox"))] * 2, True)
        )


def test_an_account_is_plain_data() -> None:
    data = json.loads(json.dumps(measured().to_data()))
    assert data["accuracy"]["total"] == data["images"] == 60
    assert data["confusion"]["classes"] == list(NASTY)
    assert data["training"]["plan"]["seed"] == 3
    assert len(data["robustness"]["kinds"]) == 6
    assert data["speed"]["parameters"] > 0
    assert "thumbnail" not in json.dumps(data)
    assert data["receipt"] is None


def without(made: ModelReport, **parts: object) -> ModelReport:
    return replace(made, **parts)  # type: ignore[arg-type]


def test_the_words_are_the_figures() -> None:
    made = measured()
    share = made.accuracy
    assert (
        verdict(made)
        == f"Right on {100 * share.count / share.total:.0f}\N{NO-BREAK SPACE}% of images it has never seen."
    )
    assert certainty(made).startswith(f"{share.count} of 60 images were right; with other images of the same kind")
    assert "there are few images to measure with" in certainty(made)
    assert "Below a probability of " in not_knowing(made)
    assert "With half of the training images (60), " in more_images(made)
    assert "The network has learnt these labels itself" in doubts(made) or made.suspects.doubtful == 0  # type: ignore[union-attr]
    assert "Measured on all 60 images, on which" in fragility(made)
    assert list(next_steps(made))[-1] == "Try it on images of your own: opsin predict <model> IMAGE"
    assert "Set more images aside for measuring: 60 leave a wide margin." in list(next_steps(made))


def test_what_was_not_measured_is_not_told() -> None:
    bare = without(measured(), calibration=None, known=None, suspects=None, learning_curve=None, robustness=None)
    assert [told(bare) for told in (not_knowing, doubts, more_images, fragility)] == [""] * 4


def test_a_useless_model_is_called_so() -> None:
    data = subject()[1]
    model: Model = small_model()
    model.labels = NASTY
    state = {name: np.zeros_like(array) if name.startswith("head") else array for name, array in model.state.items()}
    model.load_state(state)
    made = measure_model(model, data, seconds=2)
    assert "That is no better than always saying “<b>cat</b>”" in certainty(made)
    assert next(next_steps(made)).startswith("Do not use it yet")
