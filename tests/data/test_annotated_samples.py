"""Several labels and numbers for recordings, texts and signals: what is made for images reads them, too."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.base.errors import DataError
from opsin.data import load
from opsin.inputs.sound.render import wav_bytes
from opsin.report import page
from opsin.report.kinds import measure_model
from tests.inputs.sentences import sentences


def write_rows(path: Path, *rows: Iterable[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def write_ratings(path: Path, count: int) -> Path:
    """Write sentences with a number that depends on the last word."""
    rng = np.random.default_rng(0)
    pairs = [
        (text, f"{(4 if label == 'good' else 1) + rng.uniform(-0.3, 0.3):.3f}") for text, label in sentences(count)
    ]
    return write_rows(path, ("review", "stars"), *pairs)


def write_waves(folder: Path, count: int) -> Path:
    """Write signals that hold a slow wave, a fast one, both or none, and a table of which."""
    rng, time, rows = np.random.default_rng(0), np.linspace(0, 1, 64), list[Sequence[object]]()
    for number in range(count):
        slow, fast = number % 2, number // 2 % 2
        values = slow * np.sin(12 * time + number) + fast * np.sin(60 * time + number) + rng.normal(0, 0.1, 64)
        write_rows(folder / "waves" / f"{number}.csv", ("time", "x"), *zip(time, values, strict=True))
        rows.append((f"waves/{number}.csv", slow, fast))
    write_rows(folder / "labels.csv", ("file", "slow", "fast"), *rows)
    return folder


def test_numbers_for_texts(tmp_path: Path) -> None:
    source = write_ratings(tmp_path / "reviews.csv", 160)
    data = load(source)
    assert (data.task.name, data.train.kind, data.task.labels) == ("regression", "text", ("stars",))
    names = sorted(data.all_images().names or ())
    assert names[0].startswith("reviews.csv, line ") and len(names) == 160
    model = opsin.autotrain(source, epochs=8, threads=1)
    assert model.evaluate(load(source, model.preprocessing).require_test()).score.value > 0.8
    assert load(source, task="classification").task.name == "classification"


def test_a_row_keeps_its_line(tmp_path: Path) -> None:
    lines = ["text,stars", '"two', 'lines of it",1.5', "", "the next text here,2.5", "no number at all,much", *(
        f"some more words {n},{n / 8}" for n in range(30)
    )]  # fmt: skip
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    data = load(tmp_path / "a.csv")
    names = data.all_images().names or ()
    assert {"a.csv, line 3", "a.csv, line 5", "a.csv, line 7"} <= {*names}
    assert data.receipt is not None
    assert [problem.name for problem in data.receipt.annotation_problems] == ["a.csv, line 6"]


def test_several_labels_for_signals(tmp_path: Path) -> None:
    source = write_waves(tmp_path / "waves", 120)
    data = load(source)
    assert (data.task.name, data.train.kind, data.task.labels) == ("multilabel", "signal", ("slow", "fast"))
    assert len(data.all_images()) == 120
    model = opsin.autotrain(source, epochs=6, threads=1)
    data = load(source, model.preprocessing)
    assert model.evaluate(data.require_test()).score.value > 0.9
    html = page(measure_model(model, data, seconds=1))
    assert "signals" in html


def test_numbers_for_recordings(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), list[tuple[str, str]]()
    for number in range(24):
        pitch = rng.uniform(200, 900)
        wave = 9000 * np.sin(2 * np.pi * pitch * np.arange(1600) / 4000)
        (tmp_path / f"{number}.wav").write_bytes(wav_bytes(np.rint(wave), 4000))
        rows.append((f"{number}.wav", f"{pitch:.1f}"))
    write_rows(tmp_path / "pitches.csv", ("file", "pitch (Hz)"), *rows, ("missing.wav", "300.5"))
    data = load(tmp_path)
    assert (data.task.name, data.train.kind, data.task.units) == ("regression", "sound", ("Hz",))
    assert data.receipt is not None
    assert [problem.reason for problem in data.receipt.annotation_problems] == ["there is no recording 'missing.wav'"]
    assert data.receipt.used_as.startswith("0.40 s")


def test_what_is_not_there_is_said_in_terms_of_the_kind(tmp_path: Path) -> None:
    source = write_waves(tmp_path / "waves", 8)
    with pytest.raises(DataError, match="no signals that are annotated for detection"):
        load(source, task="detection")


def test_groups_of_annotated_samples_stay_together(tmp_path: Path) -> None:
    data = load(write_waves(tmp_path / "waves", 80), input_options={"groups": r"/\d*?(\d)\.csv"})
    digits = [{name.rpartition(".")[0][-1] for name in split.names or ()} for split in data.splits.values()]
    assert sum(map(len, digits)) == 10 and len(digits) == 3
    assert data.receipt is not None and "signals of one source stay together (10 sources)" in str(data.receipt)
    assert data.grouped_by == r"/\d*?(\d)\.csv"
