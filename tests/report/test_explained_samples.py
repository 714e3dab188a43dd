"""What decided, for samples that are no images: words and stretches of time that speak for an answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin.data import load
from opsin.inputs.nouns import renamed
from opsin.inputs.occlusion import hidden_stretches
from opsin.inputs.signal import Signal
from opsin.inputs.sound import Sound
from opsin.inputs.text import Text
from opsin.inputs.text.tokens import PADDING, UNKNOWN
from opsin.report import page, text
from opsin.report.explained_samples import importance
from opsin.report.kinds import measure_model
from opsin.report.nouns import renamed_page
from tests.inputs.sentences import sentences, write_table
from tests.report.html_checker import checked_page


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    table = write_table(tmp_path_factory.mktemp("texts") / "films.csv", sentences(240))
    return opsin.autotrain(table, epochs=2, threads=1), table


def test_stretches_cover_the_sample_once() -> None:
    sample = np.arange(1, 31).reshape(1, 1, 30)
    copies = hidden_stretches(sample, 0, 7)
    assert copies.shape == (7, 1, 1, 30)
    assert ((copies == 0).sum(axis=0) == 1).all() and ((copies == 0) | (copies == sample)).all()
    assert len(hidden_stretches(sample[..., :3], 0, 7)) == 3


def test_each_word_is_hidden_once_and_the_rest_stays() -> None:
    kind = Text(("a", "good", "film"), 6)
    sample = np.array([[[2, 3, 4, PADDING, PADDING, PADDING]]], np.int32)
    copies = kind.occluded(sample)
    assert copies[:, 0, 0].tolist() == [
        [UNKNOWN, 3, 4, 0, 0, 0], [2, UNKNOWN, 4, 0, 0, 0], [2, 3, UNKNOWN, 0, 0, 0]
    ]  # fmt: skip
    html = kind.html(sample, np.array([0.0, 1.0, -0.5]))
    assert re.findall(r"rgba\((\d+).*?>(\w+)</mark>", html) == [("240", "good"), ("40", "film")]


def test_the_word_that_decides_matters_most(trained: Any) -> None:
    model, table = trained
    data = load(table, model.input).require_test()
    found = 0
    for number in range(20):
        sample = data.pixels[number]
        label = model.labels[int(model.probabilities(sample[None]).argmax())]
        values = importance(model, sample, model.input.occluded(sample), label)
        assert np.abs(values).max() == pytest.approx(1)
        word = model.input.words_of(sample)[int(values.argmax())]
        found += word in " ".join(row[0] for row in sentences(240) if row[1] == label)
    assert found >= 18


def test_a_report_marks_words_and_keeps_them(trained: Any) -> None:
    model, table = trained
    data = load(table, model.input)
    report = measure_model(model, data, seconds=2)
    html = page(report)
    checked_page(html)
    assert 'class="words"' in html
    assert not any("IMAGE" in line or "image" in line for line in text(report))


def test_the_words_of_the_user_stay_as_they_are() -> None:
    html = '<p>an image</p><q class="words">an image of <mark>images</mark></q><p>Images</p>'
    expected = '<p>a text</p><q class="words">an image of <mark>images</mark></q><p>Texts</p>'
    assert renamed_page(html, "text") == expected
    assert renamed("opsin predict model.opsin IMAGE", "sound") == "opsin predict model.opsin RECORDING"


def test_moments_are_silent_and_played() -> None:
    sound, sample = Sound(4000, 4000), np.full((1, 1, 4000), 9, np.int16)
    assert (sound.occluded(sample) == 0).sum() == 4000
    assert sound.html(sample, None) == ""
    html = sound.html(sample, np.linspace(-1, 1, 24))
    assert html.count("<rect") == 24 and '<audio controls preload="none" src="data:audio/wav;base64,UklGR' in html
    signal = Signal(2, 50, (1.0, 2.0), (1.0, 1.0))
    copies = signal.occluded(np.zeros((2, 1, 50), np.float32))
    assert ((copies == np.array([1, 2])[None, :, None, None]).sum(axis=0) == 1).all()


def test_reports_of_sounds_have_a_policy_that_lets_them_be_played(trained: Any, tmp_path: Path) -> None:
    model, table = trained
    assert "media-src data:" in page(measure_model(model, load(table, model.input), seconds=1))
