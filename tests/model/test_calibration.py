"""Calibration: the temperature is optimal, the threshold reaches its target, and both are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.base.errors import ModelError
from opsin.data import LabeledImages
from opsin.model import Calibration, Model, file, load
from opsin.tasks.classification.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    TARGETS,
    calibrate,
    find_threshold,
    fit_temperature,
    softmax,
)
from tests.model.networks import LABELS, images, small_model


def sample(count: int, classes: int, seed: int = 0, spread: float = 2) -> tuple[Any, Any]:
    """Logits whose softmax is the truth, and labels drawn from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, spread, (count, classes))
    draws = random.random((count, 1))
    return logits, (softmax(logits).cumsum(axis=1) < draws).sum(axis=1).clip(max=classes - 1)


def loss(logits: Any, labels: Any, temperature: float) -> float:
    return float(-np.log(softmax(logits, temperature)[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_scale(scale: float) -> None:
    logits, labels = sample(4000, 5)
    assert fit_temperature(scale * logits, labels) == pytest.approx(scale, rel=0.06)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.5, 5))
def test_no_other_temperature_is_better(seed: int, scale: float) -> None:
    logits, labels = sample(300, 4, seed)
    best = fit_temperature(scale * logits, labels)
    for other in (0.9 * best, 1.1 * best):
        assert loss(scale * logits, labels, best) < loss(scale * logits, labels, other)


def test_the_temperature_stays_finite() -> None:
    sure = np.eye(3)[np.arange(30) % 3] * 5.0
    labels = np.arange(30) % 3
    assert MIN_TEMPERATURE <= fit_temperature(sure, labels) < 1
    assert 1 < fit_temperature(sure, (labels + 1) % 3) <= MAX_TEMPERATURE
    assert 0.9 < fit_temperature(sure[:1], labels[:1]) < 1.1, "one image must not turn the model's head"
    assert calibrate(np.empty((0, 3)), np.empty(0, np.int32)) == Calibration(1.0, 0)


def test_the_threshold_separates_reliable_answers() -> None:
    confidence = np.concatenate([np.linspace(0.99, 0.9, 300), np.linspace(0.7, 0.51, 100)])
    correct = np.concatenate([np.arange(300) % 50 != 0, np.arange(100) % 2 == 0])
    actual = find_threshold(1.0, confidence, correct)
    assert actual.target == 0.95
    assert actual.threshold is not None and 0.6 < actual.threshold < 0.72
    accepted = confidence >= actual.threshold
    assert actual.answered == accepted.mean()
    assert actual.right == correct[accepted].mean() >= 0.95


def test_images_of_equal_probability_stay_together() -> None:
    actual = find_threshold(1.0, np.repeat([0.9, 0.6], 100), np.repeat([True, False], 100))
    assert (actual.threshold, actual.answered, actual.right) == (0.9, 0.5, 1.0)
    assert find_threshold(1.0, np.full(200, 0.9), np.arange(200) % 2 == 0).threshold is None


def test_a_model_that_is_always_right_does_not_answer_below_one_half() -> None:
    assert find_threshold(1.0, np.linspace(0.3, 1, 200), np.ones(200, bool)).threshold == 0.5 == min(TARGETS) - 0.3


def test_too_few_images_have_no_threshold() -> None:
    few = find_threshold(1.0, np.linspace(0.8, 1, 6), np.ones(6, bool))
    assert (few.threshold, few.target, few.images) == (None, None, 6)
    assert find_threshold(1.0, np.linspace(0.8, 1, 12), np.ones(12, bool)).target == 0.8


def test_the_target_is_reached_on_new_images() -> None:
    margins = []
    for seed in range(40):
        logits, labels = sample(3000, 5, seed, spread=4)
        fitted = calibrate(2 * logits[:600], labels[:600])
        assert fitted.threshold is not None and fitted.target is not None
        shares = softmax(2 * logits[600:], fitted.temperature)
        known = shares.max(axis=1) >= fitted.threshold
        margins.append((shares.argmax(axis=1) == labels[600:])[known].mean() - fitted.target)
    assert np.mean(margins) > 0
    assert np.mean(np.array(margins) > -0.01) > 0.85
    assert min(margins) > -0.05


def calibrated(threshold: float | None = 0.9) -> Model:
    model = small_model()
    model.calibration = Calibration(2.0, 40, threshold, 0.95, 0.8, 0.97)
    return model


def test_the_calibration_is_saved(tmp_path: Path) -> None:
    model = calibrated()
    model.save(tmp_path / "m.opsin")
    second = load(tmp_path / "m.opsin")
    assert second.calibration == model.calibration
    small_model().save(tmp_path / "old.opsin")
    assert load(tmp_path / "old.opsin").calibration is None
    assert "calibration" not in file.read(tmp_path / "old.opsin")[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"temperature": 0}, "its calibration has invalid values"),
        ({"temperature": float("nan")}, "its calibration has invalid values"),
        ({"threshold": 1.5}, "its calibration has invalid values"),
        ({"threshold": "high"}, "its calibration is incomplete"),
        ({"images": None}, "its calibration is incomplete"),
    ],
)
def test_an_invalid_calibration_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        Calibration.from_data(calibrated().calibration.to_data() | change)  # type: ignore[union-attr]
    with pytest.raises(ModelError, match="is incomplete"):
        Calibration.from_data({})


def test_predictions_are_calibrated() -> None:
    model, plain = calibrated(), small_model()
    pixels = images(40)
    np.testing.assert_allclose(model.probabilities(pixels), softmax(plain.logits(pixels) / 2), atol=1e-6)
    predictions = model.predict(pixels)
    assert [p.label for p in predictions] == [p.label for p in plain.predict(pixels)]
    assert [p.reliable for p in predictions] == [p.probability >= 0.9 for p in predictions]
    assert {True, False} == {
        p.reliable for p in calibrated(float(np.median([p.probability for p in predictions]))).predict(pixels)
    }
    assert all(p.reliable is None for p in calibrated(None).predict(pixels))
    assert all(p.reliable is None for p in plain.predict(pixels))


def test_new_parameters_invalidate_the_calibration() -> None:
    model = small_model()
    labels = (np.arange(60) % 2).astype(np.int32)
    logits = model.logits(images(60))
    fitted = model.calibrate(LabeledImages(images(60), labels, ("eel", "cat")))
    assert fitted == model.calibration == calibrate(logits, np.where(labels == 0, LABELS.index("eel"), 0))
    model.load_state(model.state)
    assert model.calibration is None
