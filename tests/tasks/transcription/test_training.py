"""From strings of tones to transcripts: training, files, report, command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import opsin
from opsin.apps.cli.main import run
from opsin.data import load
from opsin.model import Model
from opsin.report import page
from opsin.report.kinds import measure_model, text
from tests.tasks.transcription.tones import write_strings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tones") / "strings"
    write_strings(place, 240)
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return opsin.autotrain(folder, epochs=12, threads=1, out=folder.parent / "tones.opsin")


def test_tones_are_written_down(model: Model, folder: Path) -> None:
    found = model.evaluate(load(folder, model.preprocessing).require_test())
    assert found.error_rate < 0.1
    rows = (folder / "strings.csv").read_text().splitlines()
    paths = {text: folder / name for name, text in (row.split(",") for row in rows[1:])}
    (answer,) = model.predict([paths["low high"]])
    assert answer.text == "low high"
    low, high = answer.words
    assert 0.0 < low.begin < low.end < high.begin < high.end < 0.7


def test_the_receipt_and_the_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load(folder)
    assert (data.task.name, data.train.kind, data.task.words, data.task.longest) == (
        "transcription", "sound", ("high", "low"), 3
    )  # fmt: skip
    assert data.task.seconds == data.input.seconds == pytest.approx(0.99, abs=0.05)
    assert "sequences of 2 words" in data.receipt.text()  # type: ignore[union-attr]
    assert run(["train", str(folder), "--dry-run"]) == 0
    assert "ctc_cnn from scratch, which gives the probabilities of words for every 40 ms" in capsys.readouterr().out


def test_commands(model: Model, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(folder.parent / "tones.opsin")
    assert run(["predict", name, str(folder / "0.wav"), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert {"text", "probability", "words"} <= answer.keys()
    assert run(["evaluate", name, str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "held-out recordings of strings" in printed
    assert "all errors" in printed


def test_the_report(model: Model, folder: Path) -> None:
    report = measure_model(model, load(folder, model.preprocessing), seconds=1)
    assert report.sections[0].heading == "Errors"  # type: ignore[union-attr]
    html = page(report)
    assert "The word error rate is the number of words" in html
    assert "image" not in " ".join(text(report)).lower()


def test_recordings_too_short_for_their_transcripts_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_strings(tmp_path / "strings", 12)
    table = tmp_path / "strings" / "strings.csv"
    rows = table.read_text().splitlines()
    rows[1] = "0.wav," + " ".join(["low"] * 30)
    table.write_text(
        "\n".join([f"{row},{'test' if n > 8 else 'train' if n else 'split'}" for n, row in enumerate(rows)])
    )
    assert run(["train", str(tmp_path / "strings"), "--dry-run"]) == 0
    assert "nothing is learned from 1 of the recordings, too short for their transcripts: 0.wav" in (
        " ".join(capsys.readouterr().out.split())
    )


def test_text_files_next_to_recordings(tmp_path: Path) -> None:
    texts = write_strings(tmp_path / "strings", 20, table=False)
    data = load(tmp_path / "strings")
    assert data.task.name == "transcription"
    assert sorted(str(each) for each in data.task.truth(data.all_images().targets)) == sorted(texts)
