"""Numbers on another scale than those of the training: refused with what to do, or pointed out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from opsin import ImageClassifier
from opsin.apps.estimator import InputError
from opsin.apps.estimator.arrays import ImageLayout
from tests.data.files import stripes

KINDS = ("lying", "standing")
BYTES = np.array([stripes(kind, number) for number in range(12) for kind in KINDS])
BYTES[:, 0, :2] = 0, 255
LABELS = np.array([kind for _ in range(12) for kind in KINDS])

SCALES: dict[str, Any] = {
    "bytes": BYTES,
    "fractions": BYTES / 255,
    "fractions of single precision": (BYTES / 255).astype(np.float32),
    "floats to 255": BYTES.astype(np.float64),
    "whole numbers to 255": BYTES.astype(np.int64),
    "12 bits": BYTES.astype(np.uint16) << 4,
    "16 bits": BYTES.astype(np.uint16) * 257,
    "around 0": BYTES / 127.5 - 1,
    "standardised": (BYTES - BYTES.mean()) / BYTES.std(),
    "masks": BYTES > 99,
}
SAME = ({"fractions", "fractions of single precision"}, {"floats to 255", "whole numbers to 255", "bytes"},
        {"around 0", "standardised", "fractions", "fractions of single precision", "masks"})  # fmt: skip
"""What may be asked for together: values of one scale, and scales so near that only a warning is possible."""


@pytest.mark.parametrize("fitted", SCALES)
@pytest.mark.parametrize("asked", SCALES)
def test_every_pair_of_scales(fitted: str, asked: str) -> None:
    """No combination is turned into white or black without a word."""
    form = ImageLayout.of(SCALES[fitted], None, False)
    x = SCALES[asked][:3]
    try:
        made = form.pixels(x, "it")[:, 0]
    except InputError as error:
        assert fitted != asked
        assert not any(fitted in group and asked in group for group in SAME[:1])
        assert "training was on " in str(error) and "give " in str(error)
        return
    alike = any(fitted in group and asked in group for group in SAME)
    assert form.scale_warning(x) or alike or np.abs(made.astype(int) - BYTES[:3]).max() <= 1
    assert form.scale_warning(x) or made.std() > 0.35 * BYTES[:3].std()


@pytest.mark.parametrize(("fitted", "asked", "text"), [
    ("fractions", "bytes", "X is uint8 from 0 to 255, but training was on float64 from 0 to 1; give numbers on the "
     "same scale: X / 255"),
    ("fractions", "12 bits", "X is uint16 from 0 to 4080, but training was on float64 from 0 to 1; give numbers on the "
     "same scale: X / 4095"),
    ("floats to 255", "fractions", "X is float64 from 0 to 1, but training was on float64 from 0 to 255; give numbers "
     "on the same scale: X.astype(float) * (255 / 1)"),
    ("whole numbers to 255", "16 bits", "X is uint16 from 0 to 65535, but training was on int64 from 0 to 255; give "
     "numbers on the same scale: X.astype(float) * (255 / 65535)"),
    ("16 bits", "bytes", "X is uint8 from 0 to 255, but training was on uint16 from 0 to 65535; give numbers on the "
     "same scale: X.astype(float) * (65535 / 255)"),
    ("16 bits", "masks", "X is bool from 0 to 1, but training was on uint16 from 0 to 65535; give numbers on the same"),
    ("around 0", "bytes", "X is uint8 from 0 to 255, but training was on float64 from -1 to 1; give numbers on the "
     "same scale: prepare X as the training images were prepared, or clip it to their range"),
    ("bytes", "fractions", "X is float64, but training was on bytes; give uint8 from 0 to 255 again, such as "
     "(255.0 * X).round().astype('uint8')"),
    ("bytes", "16 bits", "training was on bytes; give uint8 from 0 to 255 again, such as (X / 257).round().astype"),
    ("bytes", "floats to 255", "training was on bytes; give uint8 from 0 to 255 again, such as X.astype('uint8')"),
    ("bytes", "around 0", "X is float64, but training was on bytes; give uint8 from 0 to 255 again"),
])  # fmt: skip
def test_refused_scales(fitted: str, asked: str, text: str) -> None:
    form = ImageLayout.of(SCALES[fitted], None, False)
    with pytest.raises(InputError) as caught:
        form.pixels(SCALES[asked], "it")
    assert text in str(caught.value)
    advice = str(caught.value).rpartition("such as " if fitted == "bytes" else "scale: ")[2]
    if advice.startswith(("X", "(X", "(2")) and "training" not in advice:  # it is right
        made = form.pixels(eval(advice, {"X": SCALES[asked]}), "it")[:, 0]
        assert np.abs(made.astype(int) - (np.where(BYTES > 99, 255, 0) if asked == "masks" else BYTES)).max() <= 1


def test_an_estimator_refuses_and_warns() -> None:
    classifier = ImageClassifier("lenet5", epochs=8, batch=8).fit(BYTES / 255, LABELS)
    for ask in (classifier.predict, classifier.predict_proba):
        with pytest.raises(InputError, match=r"X is uint8 from 0 to 255, but training was on float64 from 0 to 1"):
            ask(BYTES)
    with pytest.raises(InputError, match="same scale"):
        classifier.score(BYTES, LABELS)
    with pytest.warns(UserWarning, match=r"^\d+% of the numbers in X are outside the training range and are clipped"):
        classifier.predict(BYTES / 127.5 - 1)
    with pytest.warns(UserWarning, match=r"^X is nearly black, with numbers from 0 to 0.00392157; training was on"):
        classifier.predict(BYTES[:2] / 255**2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(classifier.predict((BYTES / 255).astype(np.float32)), classifier.predict(BYTES / 255))
        classifier.predict(np.zeros((1, 12, 12)))
        classifier.predict(BYTES / 250)  # a little more than white
    with pytest.raises(InputError, match="X contains NaN"):
        classifier.predict(np.full((1, 12, 12), np.nan))
    with pytest.raises(InputError, match="X holds arrays of 3 × 12 × 12, but ImageClassifier was trained on 12 × 12"):
        classifier.predict(np.zeros((1, 3, 12, 12)))


def test_features_may_be_outside_the_training_range() -> None:
    x = np.random.default_rng(0).normal(size=(30, 5))
    form = ImageLayout.of(x, None, True)
    assert not form.is_image
    assert form.pixels(100 * x, "it").max() == 255
    assert not form.scale_warning(100 * x)
