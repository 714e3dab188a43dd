"""Options of kinds of input: what they change, and what is refused."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn, zoo
from opsin.apps.cli.load_data import load_for_model
from opsin.base.errors import DataError, UsageError
from opsin.base.units import parse_input_options
from opsin.data import load
from opsin.inputs.kind import Files
from opsin.inputs.signal import Signal
from opsin.inputs.sound import Sound
from opsin.inputs.sound.render import wav_bytes
from opsin.inputs.text import Text
from opsin.inputs.video import Clips
from tests.inputs.recordings import write_recordings
from tests.inputs.sentences import sentences, write_table
from tests.inputs.waves import write_signals


def test_options_in_a_text() -> None:
    assert parse_input_options(" rate=8000 , seconds = 2 ") == {"rate": "8000", "seconds": "2"}
    assert parse_input_options("groups=(a,b{1,2})=,rate=5") == {"groups": "(a,b{1,2})=", "rate": "5"}
    assert parse_input_options(None) == {}
    for text in ("rate", "rate=", "=3", "rate 8000"):
        with pytest.raises(UsageError, match=r"takes NAME=VALUE pairs"):
            parse_input_options(text)


def test_what_options_change(tmp_path: Path) -> None:
    sounds, signals = write_recordings(tmp_path / "tones", 6), write_signals(tmp_path / "waves", 6)
    texts = write_table(tmp_path / "films.csv", sentences(60))
    sound = load(sounds, input_options={"rate": 2000, "seconds": 0.3}).train
    assert (sound.input.rate, sound.pixels.shape[1:]) == (2000, (1, 1, 600))
    assert load(signals, input_options={"length": 20}).train.pixels.shape[1:] == (2, 1, 20)
    text = load(texts, input_options={"unit": "bytes", "length": 30}).train
    assert (text.input.unit, text.pixels.shape[1:], text.input.tokens) == ("bytes", (1, 1, 30), 258)
    assert load(texts, input_options={"vocabulary": 5}).train.input.tokens == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 5}, "the option rate of recordings is a whole number from 1,000 to 192,000 Hz, not 5"),
        ({"seconds": "long"}, "the option seconds of recordings is 0.02 to 600 seconds, not long"),
        ({"length": 5}, "recordings have no option 'length'; there are rate and seconds"),
    ],
)
def test_what_is_refused(tmp_path: Path, options: Any, message: str) -> None:
    folder = write_recordings(tmp_path / "tones", 6)
    with pytest.raises(UsageError, match=f"^{message}$"):
        load(folder, input_options=options)


def test_options_reach_the_model(tmp_path: Path) -> None:
    table = write_table(tmp_path / "films.csv", sentences(120))
    model = opsin.autotrain(table, epochs=1, threads=1, input_options={"length": 12}, out=tmp_path / "m.opsin")
    assert model.input.length == opsin.load(tmp_path / "m.opsin").input.length == 12
    with pytest.raises(UsageError, match="--input-options is for recordings, texts, signals and clips"):
        opsin.autotrain("digits", epochs=1, input_options={"length": 12})


def test_a_network_may_say_how_texts_are_read(tmp_path: Path) -> None:
    table = write_table(tmp_path / "films.csv", sentences(120))
    model = opsin.autotrain(
        table, network="char_cnn", epochs=1, threads=1, input_options={"length": 130}, out=tmp_path / "m.opsin"
    )
    assert (model.input.unit, model.input.length) == ("bytes", 130)
    assert len(model.predict(["a good film", "é"])) == 2


def test_the_character_network_has_the_paper_s_sizes() -> None:
    graph = nn.trace(zoo.find("char_cnn")(4), (70, 1, 1014))
    weights = [tensor.shape for name, tensor in graph.parameters.items() if name.endswith("weight")]
    assert weights[0] == (256, 70, 1, 7) and (1024, 34 * 256) in [shape[:2] for shape in weights] + [
        shape[::-1] for shape in weights
    ]


def test_groups_stay_together_when_the_model_is_measured(tmp_path: Path) -> None:
    folder = write_recordings(tmp_path / "tones", 30)
    expression = r"/(\d)\d*\.wav"
    model = opsin.autotrain(folder, epochs=1, threads=1, input_options={"groups": expression})
    trained = load(folder, input_options={"groups": expression})
    measured = load_for_model(model, str(folder))
    assert measured.require_test().names == trained.require_test().names != load(folder).require_test().names
    assert measured.fingerprint == trained.fingerprint
    other = write_recordings(tmp_path / "other", 6)
    for path in other.rglob("*.wav"):
        path.rename(path.with_name(f"x{path.name}"))
    assert len(load_for_model(model, str(other)).train)


@pytest.mark.parametrize(
    ("kind", "contents", "options"),
    [
        (Sound, [wav_bytes(np.ones(800), 8000)], {"rate": 192_000, "seconds": 600}),
        (Sound, [wav_bytes(np.ones(800), 8000)], {"rate": 1000, "seconds": 0.02}),
        (Signal, [b"1,2\n3,4\n5,6\n"], {"length": 2**20}),
        (Text, [b" ".join(b"w%d" % n for n in range(60_000))], {"vocabulary": 1_000_000, "length": 100_000}),
    ],
)
def test_models_with_the_largest_options_can_be_opened(kind: Any, contents: list[bytes], options: Any) -> None:
    fitted = kind.fitted(Files(["a"], lambda number: contents[number], options))
    assert kind.from_data(json.loads(json.dumps(fitted.to_data()))) == fitted


@pytest.mark.parametrize("kind", [Sound, Signal, Text, Clips])
def test_the_first_reason_is_given_if_no_file_can_be_read(kind: Any) -> None:
    missing = kind is Clips and find_spec("av") is None
    reason = r"clips of video need PyAV; install it with" if missing else r"a\.x: \S"
    with pytest.raises(DataError, match=rf"^none of the {kind.nouns[1]} can be read; the first one: {reason}"):
        kind.fitted(Files(["a.x", "b.x"], lambda number: b"\0\1\2"))
