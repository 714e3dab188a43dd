"""SIGKILL at random moments: a resumed run is bit-identical to an uninterrupted one."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from opsin.runs.listing import summary
from tests.runs.kills import ANNOTATED, annotated_options, finish, interrupted_run, result, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

OPTIONS: list[object] = [
    "digits", "--network", "lenet5", "--epochs", 3, "--batch", 48, "--ema", 0.98, "--patience", 2,
    "--checkpoint-minutes", 0, "--threads", 1, "--no-report",
]  # fmt: skip


@pytest.mark.parametrize("task", ANNOTATED)
def test_every_task_resumes(task: str, tmp_path: Path) -> None:
    options, uninterrupted = annotated_options(task, tmp_path / "data", 2), tmp_path / "uninterrupted"
    finish(start(*options, "--run", uninterrupted))
    expected, seconds = result(uninterrupted), summary(uninterrupted).seconds
    run = tmp_path / "interrupted"
    interrupted_run(run, options, 1, seconds, random.Random(task))
    assert result(run) == expected


def test_five_kills(tmp_path: Path) -> None:
    uninterrupted = tmp_path / "uninterrupted"
    finish(start(*OPTIONS, "--run", uninterrupted))
    expected = result(uninterrupted)
    seconds = summary(uninterrupted).seconds
    assert expected.epochs[-1]["epoch"] == 3
    moments, kills = random.Random(20), 0
    while kills < 5:  # A run may finish before it is killed.
        run = tmp_path / f"interrupted{kills}"
        kills += interrupted_run(run, OPTIONS, 5 - kills, seconds, moments)
        assert result(run) == expected
