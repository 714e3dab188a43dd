"""A case, with Opsin itself and with peers that are right, wrong, slow or broken."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from opsin.apps.benchmark import peers
from opsin.apps.benchmark.cases import Case
from opsin.apps.benchmark.measure import Result, difference, max_difference, measure
from opsin.apps.benchmark.peers import OPSIN, Competitor, PeerError
from tests.apps.benchmark.workers import REFUSING, answering, equal_answers, fake_competitor

CASE = Case("lenet5", "infer", 2, (1, 28, 28), 1)
OPSIN_COMPETITOR = Competitor(OPSIN, "", sys.executable)


def quiet(text: str) -> None:
    pass


def measured(case: Case, *others: Competitor) -> Result:
    return measure(case, [OPSIN_COMPETITOR, *others], rounds=2, seconds=0.01, show_progress=quiet)


@pytest.mark.usefixtures("fake_workers")
def test_the_fastest_peer_with_equal_results_is_the_best() -> None:
    result = measured(
        CASE, fake_competitor("Slower", equal_answers(15.0)), fake_competitor("Faster", equal_answers(10.0))
    )
    ours, slower, faster = result.figures
    assert result.best is faster and faster.seconds == [1.0, 1.0] and slower.seconds == [1.5, 1.5]
    assert len(ours.seconds) == len(result.peaks) == len(result.bandwidths) == 2
    assert ours.difference == 0 and faster.difference is not None and faster.difference < 1e-6
    assert result.ratios is not None and result.ratios.median > 10  # a call of LeNet-5 takes less than 0.1 s
    assert (faster.version, faster.memory, faster.opened) == ("1.2", 2e6, 0.1)
    assert result.share_of_peak is not None and 0 < result.share_of_peak < 1.5
    assert result.macs == 2 * 416_520


@pytest.mark.usefixtures("fake_workers")
def test_a_peer_with_other_results_is_never_the_best() -> None:
    result = measured(
        CASE, fake_competitor("Wrong", equal_answers(0.001, shift=0.5)), fake_competitor("Right", equal_answers(10.0))
    )
    wrong = result.figures[1]
    assert not wrong.agrees and wrong.dropped and wrong.difference is not None and wrong.difference > 0.01
    assert result.best is result.figures[2]


@pytest.mark.usefixtures("fake_workers")
def test_a_slow_peer_is_dropped_after_one_turn() -> None:
    result = measured(CASE, fake_competitor("Slow", equal_answers(100.0)), fake_competitor("Quick", equal_answers(1.0)))
    slow, quick = result.figures[1:]
    assert slow.dropped and slow.seconds == [10.0] and slow.problem is None
    assert not quick.dropped and len(quick.seconds) == 2


@pytest.mark.usefixtures("fake_workers")
def test_a_failing_peer_is_left_out_with_the_reason() -> None:
    result = measured(CASE, fake_competitor("Broken", answering(REFUSING)))
    assert result.figures[1].problem == "Broken: ValueError: what is an image?"
    assert result.best is None and result.ratios is None


def test_a_failure_of_opsin_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Competitor(peers.Peer("opsin", "Opsin", "module_that_is_not_there", "", (), ()), "", sys.executable)
    with pytest.raises(PeerError, match="Opsin ended with exit code 1"):
        measure(CASE, [gone], rounds=1, seconds=0.01, show_progress=quiet)


def test_no_process_or_file_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made: list[peers.Worker] = []

    class Kept(peers.Worker):
        def __init__(self, competitor: Competitor, threads: int, log: Path) -> None:
            super().__init__(competitor, threads, log)
            made.append(self)

    monkeypatch.setattr("opsin.apps.benchmark.measure.Worker", Kept)

    def interrupt(text: str) -> None:
        if "round" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(CASE, [OPSIN_COMPETITOR], rounds=1, seconds=0.01, show_progress=interrupt)
    assert len(made) == 1 and made[0].process.poll() is not None
    assert not list(tmp_path.iterdir())


def test_differences() -> None:
    logits = np.array([[0.0, 4.0], [2.0, 3.0]])
    assert difference(logits, logits + [[0, 0], [0.4, 0]]) == pytest.approx(0.1)
    assert difference(logits, logits[:1]) == difference(logits, logits * np.nan) == float("inf")
    assert difference(np.array([2.0, 1.5]), np.array([2.0, 1.6])) == pytest.approx(0.2)
    assert difference(np.array([[-2.0]]), np.array([[-2.1]])) == pytest.approx(0.05)  # one number has no range
    assert max_difference([logits, logits], [logits, logits + [[0, 0], [0.4, 0]]]) == pytest.approx(0.1)
    assert max_difference([logits], [logits, logits]) == float("inf")


@pytest.mark.usefixtures("fake_workers")
@pytest.mark.parametrize("task", ["train", "infer"])
def test_networks_of_other_tasks_are_measured(task: str) -> None:
    result = measured(Case("pilotnet", task, 1, (3, 66, 66), 1), fake_competitor("Same", equal_answers(10.0)))
    assert result.best is result.figures[1] and len(result.opsin.seconds) == 2
