"""Work on every core: everything once, the first error ends it."""

from __future__ import annotations

import threading
import time

import pytest

from opsin.data import parallel
from opsin.data.parallel import for_each


@pytest.fixture(params=[1, 4])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(parallel, "processors", lambda: request.param)
    return int(request.param)


def test_everything_once(cores: int) -> None:
    indices: list[int] = []
    told: list[tuple[int, int]] = []
    for_each(indices.append, range(100))
    assert sorted(indices) == list(range(100))
    for_each(indices.append, range(100, 200), lambda *counts: told.append(counts))
    assert sorted(indices) == list(range(200))
    assert told[-1] == (100, 100)
    for_each(indices.append, [], lambda *counts: told.append(counts))
    assert told[-1] == (0, 0)


def test_the_first_error_ends_all(cores: int) -> None:
    indices: list[int] = []

    def work(index: int) -> None:
        if index == 5:
            raise ValueError("five")
        time.sleep(0.05 if index > 5 else 0)
        indices.append(index)

    with pytest.raises(ValueError, match="five"):
        for_each(work, range(1000))
    assert len(indices) < 50


def test_no_thread_is_left(cores: int) -> None:
    before = threading.active_count()
    for_each(lambda index: None, range(50), lambda count, total: None)
    assert threading.active_count() == before
