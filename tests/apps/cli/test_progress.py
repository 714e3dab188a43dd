"""How much time is left, where the first epochs of a stage take longer than the others."""

from __future__ import annotations

import pytest

from opsin.apps.cli import progress
from opsin.apps.cli.progress import Lines
from opsin.training import Epoch, Score, StageStarted, Started, Step


def test_epochs_on_cached_features_count_for_little(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: now[0])
    show = Lines()
    show(Started("net", 10, 100, 10, 10, 2, 6, 2, 0))
    show(StageStarted("head", 1, 6, 2, 50, 10, 0, 0.1, views=2))
    for epoch in range(1, 7):
        for step in (1, 2):
            now[0] += 30.0 if epoch <= 2 else 1.0
            show(Step(epoch, 2 * epoch + step - 2, 1.0, 25, 50))
        show(Epoch("head", epoch, 2 * epoch, 1.0, 0.5, Score.of_classifier(10, 5, 1.0, None), True, 1.0))
    left = [line.rpartition("   ")[2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert left[0] == "1:00 left"
    assert left[2:] == ["0:06 left", "0:04 left", "0:02 left", "0:00 left"]
