"""`opsin tune`: the table, what is kept, and what other commands make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsin.apps.cli import tune as command
from opsin.backends import tuning
from opsin.backends.native import tuning_cache
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import load
from opsin.backends.tuning import TuningResult
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates


@pytest.fixture(autouse=True)
def direct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which direct convolution is twice as fast as others, and a whole step a tenth faster by it."""

    def trial(contest: Any, count: int) -> TuningResult:
        model = candidates(contest.problem)[0]
        return TuningResult(
            contest.problem, count, model, ConvAlgorithm.DIRECT, 2e-3, 2e-3 if model is ConvAlgorithm.DIRECT else 1e-3
        )

    monkeypatch.setattr(tuning, "_trial", trial)
    monkeypatch.setattr(command, "compare_steps", lambda *_, precision: (0.011, 0.010))
    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path)


TUNE = ("tune", "resnet20_cifar", "--batch", "4", "--threads", "1")


def test_the_table_shows_the_gains(cli: Any) -> None:
    code, out, err = cli(*TUNE)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "resnet20_cifar, training step, 4 images of 3 × 32 × 32, 1 thread"
    assert lines[2].split() == ["convolution", "direction", "heuristic", "ms", "fastest", "ms", "gain", "count"]
    row = next(line for line in lines if line.startswith("64 × 8 × 8 → 64 × 8 × 8, 3×3 ") and "weight" in line)
    assert row.split("3×3")[1].split() == [*"weight gradient Winograd, non-fused 2.000 direct 1.000 100% 5".split()]
    first = next(line for line in lines if line.startswith("3 × 32 × 32 → 16 × 32 × 32, 3×3 ") and "forward" in line)
    assert first.split()[-5:] == ["direct", "2.000", "the", "same", "1"]
    assert any(line.startswith("32 × 16 × 16 → 64 × 8 × 8, 3×3 / 2 ") for line in lines)
    assert (
        "a whole training step took 11.00 ms with the heuristic's algorithms and 10.00 ms with these: 10.0% faster."
        in out
    )
    assert all(timed.threads == 1 for timed in load(host().target).values())


def test_tuning_results_are_used_shown_and_cleared(cli: Any) -> None:
    plan = ("describe", "resnet20_cifar", "--plan", "--batch", "4")
    assert "timed" not in cli(*plan).out
    cli(*TUNE)
    out = cli(*plan).out
    row = next(line for line in out.splitlines() if "layer3.1.conv1 " in line and " forward " in line)
    assert "direct, timed" in row and "Winograd" not in out
    assert out.splitlines()[-1] == "timed: chosen by `opsin tune` on this machine; the others by the heuristic"
    assert "timed" not in cli(*plan, "--no-winograd").out and "timed" not in cli(*plan, "--infer").out
    data = json.loads(cli(*plan, "--json").out)
    assert {call["timed"] for call in data["training"]["calls"]} == {True, False}
    assert not any(call["timed"] for call in data["prediction"]["calls"])
    second = cli(*TUNE).out
    assert "* timed by an earlier run" in second and "which should save" in second
    count = len(load(host().target))
    assert f"deleted the results for {count} convolutions; the heuristic chooses again" in cli(*TUNE, "--clear").out
    assert "deleted the results for no convolutions" in cli(*TUNE, "--clear").out
    assert "timed" not in cli(*plan).out


def test_a_step_that_gets_no_faster_keeps_the_heuristic(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "compare_steps", lambda *_, precision: (0.010, 0.0101))
    out = cli(*TUNE, "--infer").out
    assert "a whole prediction took 10.00 ms with the heuristic's algorithms and 10.10 ms with these: the heuri" in out
    assert "and 10.10 ms with these: the heuristic's are kept." in out
    assert all(timed.algorithm == timed.heuristic for timed in load(host().target).values())


def test_convolutions_without_time_are_reported(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SINGLE_SHARE", 0.0)
    out = cli(*TUNE).out
    assert "There was no time for 17 convolutions. Run the command again to continue with them" in out
    assert "Another algorithm than the heuristic's is used for no convolutions." in out
    assert not load(host().target)


def test_invalid_requests(cli: Any) -> None:
    assert cli(*TUNE, "--budget", "soon")[::2] == (2, "Error: 'soon' is not a duration; write 90s, 10min or 1h30min\n")
    code, _, err = cli("tune", "nonsense")
    assert code == 2 and err.startswith("Error: nonsense is not a model file, and ")
