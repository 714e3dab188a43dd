"""Recordings as input: what follows from the files, and a network that learns from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin.base.errors import DataError, ModelError
from opsin.data import load
from opsin.inputs.kind import Files
from opsin.inputs.sound import Sound
from opsin.inputs.sound.features import MFCC, LogMel
from opsin.inputs.sound.render import wav_bytes
from tests.inputs.recordings import RATE, write_recordings
from tests.inputs.sound.support import tone, wav


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_recordings(tmp_path_factory.mktemp("sounds") / "tones", 30)
    return opsin.autotrain(folder, epochs=6, threads=1, out=folder.parent / "model.opsin"), folder


def test_a_network_learns_recordings(trained: Any) -> None:
    model, folder = trained
    names = sorted(folder.rglob("*.wav"))
    answers = model.predict([str(name) for name in names])
    assert sum(answer.label == name.parent.name for answer, name in zip(answers, names, strict=True)) >= 57
    assert model.kind == "sound" and model.input.rate == RATE and model.input.length == 1680


def test_arrays_and_bytes_give_the_same_answer_as_files(trained: Any) -> None:
    model, folder = trained
    path = folder / "low" / "2.wav"
    samples = np.frombuffer(path.read_bytes()[44:], "<i2")
    for value in (path, path.read_bytes(), samples, samples / 32768):
        assert model.predict(value)[0].ranking == model.predict(str(path))[0].ranking


def test_the_model_file_reads_other_rates(trained: Any) -> None:
    model, folder = trained
    saved = opsin.load(folder.parent / "model.opsin")
    time = np.arange(4 * 1680) / (4 * RATE)
    fast = wav_bytes(9000 * np.sin(2 * np.pi * 1100 * time), 4 * RATE)
    assert saved.predict(fast)[0].label == "high"
    assert json.loads(json.dumps(model.input.to_data())) == {"kind": "sound", "rate": RATE, "length": 1680}


def test_rate_and_length_follow_from_most_files() -> None:
    sounds = [wav(tone(seconds).tobytes()) for seconds in (0.3, 0.3, 0.5)] + [wav(tone(9, 1000).tobytes(), rate=1000)]
    names = [f"{number}.wav" for number in range(4)]
    assert Sound.fitted(Files(names, lambda number: sounds[number])) == Sound(8000, 32000)
    assert Sound.fitted(Files(names[:2], lambda number: sounds[number])) == Sound(8000, 2400)
    with pytest.raises(DataError, match="none of the recordings"):
        Sound.fitted(Files(["a.wav"], lambda number: b"RIFF"))


def test_bad_recordings_are_named(tmp_path: Path) -> None:
    folder = write_recordings(tmp_path / "tones", 10)
    (folder / "low" / "empty.wav").write_bytes(b"")
    (folder / "low" / "text.wav").write_bytes(b"no sound at all")
    (folder / "low" / "silent.wav").write_bytes(wav_bytes(np.zeros(1600), RATE))
    data = load(folder)
    receipt = str(data.receipt)
    assert all(name in receipt for name in ("empty.wav", "text.wav", "silent.wav"))


@pytest.mark.parametrize(("rows", "layer"), [((1, 40, 101), LogMel), ((1, 10, 49), MFCC), ((1, 1, 8000), type(None))])
def test_networks_get_the_features_that_they_take(rows: tuple[int, int, int], layer: type) -> None:
    front = Sound(8000, 8000).front_end(rows)
    assert type(front) is layer


def test_descriptions_that_make_no_sense() -> None:
    for data in ({}, {"rate": 0, "length": 5}, {"rate": 8000, "length": 2**30}, {"rate": "fast", "length": 1}):
        with pytest.raises(DataError, match="recordings"):
            Sound.from_data(data)


def test_a_model_of_recordings_refuses_arrays_of_images_and_integers(trained: Any) -> None:
    model, _ = trained
    with pytest.raises(DataError, match=r"^digits holds images, and the model takes recordings$"):
        load("digits", model.input)
    with pytest.raises(ModelError, match="takes recordings; int8 is for models of images"):
        model.predict(next(trained[1].rglob("*.wav")), precision="int8")


def test_a_recording_without_its_samples_is_cut_short() -> None:
    whole = wav(tone(0.5).tobytes())
    with pytest.raises(DataError, match=r"^a\.wav: it is cut short: none of its 4,000 samples is there$"):
        Sound(8000, 4000).read(whole[:44], "a.wav")
    with pytest.raises(DataError, match=r"^a\.wav: the recording holds no samples; record it again$"):
        Sound(8000, 4000).read(wav(b""), "a.wav")
