"""SIGKILL at random moments: a run that goes on ends with the bits of one that was never broken."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from opsin.runs.listing import summary
from tests.runs.kills import broken_run, finish, result, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

OPTIONS: list[object] = [
    "digits", "--network", "lenet5", "--epochs", 3, "--batch", 48, "--ema", 0.98, "--patience", 2,
    "--checkpoint-minutes", 0, "--threads", 1, "--no-report",
]  # fmt: skip


def test_five_kills(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    finish(start(*OPTIONS, "--run", whole))
    expected = result(whole)
    seconds = summary(whole).seconds
    assert expected.epochs[-1]["epoch"] == 3
    moments, kills = random.Random(20), 0
    while kills < 5:  # a run may come to its end before it is killed
        run = tmp_path / f"broken{kills}"
        kills += broken_run(run, OPTIONS, 5 - kills, seconds, moments)
        assert result(run) == expected
