"""SIGKILL in trainings on texts, recordings, signals and clips: a resumed run has the bits of an uninterrupted one."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from opsin.runs.listing import summary
from tests.inputs.films import write_films
from tests.inputs.recordings import write_recordings
from tests.inputs.sentences import sentences, write_table
from tests.inputs.waves import write_signals
from tests.runs.kills import finish, interrupted_run, result, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


OPTIONS: dict[str, list[object]] = {
    "text": [], "sound": [], "signal": [],
    "video": ["--network", "r2plus1d", "--input-options", "frames=4,side=32"],
}  # fmt: skip


def data(kind: str, folder: Path) -> Path:
    if kind == "text":
        return write_table(folder / "films.csv", sentences(160))
    if kind == "video":
        return write_films(folder / "films", 20)
    return write_recordings(folder / "tones", 30) if kind == "sound" else write_signals(folder / "waves", 30)


@pytest.mark.parametrize("kind", ["text", "sound", "signal", "video"])
def test_every_kind_of_input_resumes(kind: str, tmp_path: Path) -> None:
    options: list[object] = [
        data(kind, tmp_path), "--epochs", 2, "--checkpoint-minutes", 0, "--threads", 1, "--no-report", *OPTIONS[kind]
    ]  # fmt: skip
    uninterrupted, run = tmp_path / "uninterrupted", tmp_path / "interrupted"
    finish(start(*options, "--run", uninterrupted))
    interrupted_run(run, options, 1, summary(uninterrupted).seconds, random.Random(kind))
    assert result(run) == result(uninterrupted)


@pytest.mark.parametrize("kind", ["text", "sound", "signal", "video"])
def test_the_bits_do_not_depend_on_the_number_of_threads(kind: str, tmp_path: Path) -> None:
    files = []
    for threads in (1, 4):
        run = tmp_path / str(threads)
        finish(start(data(kind, tmp_path / f"data{threads}"), "--epochs", 1, "--threads", threads, "--no-report",
                     *OPTIONS[kind], "--run", run))  # fmt: skip
        files.append(result(run))
    assert files[0] == files[1]
