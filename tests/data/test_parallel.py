"""Work on every core: everything once, the first error ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from opsin.data import parallel
from opsin.data.parallel import for_each, in_thread


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


def test_a_thread_computes_ahead() -> None:
    seen: list[int] = []
    is_ahead = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            seen.append(number)
            if number == 2:
                is_ahead.set()
            yield number

    results = in_thread(items())
    assert next(results) == 0
    assert is_ahead.wait(10)
    assert list(results) == list(range(1, 10))
    assert seen == list(range(10))


def test_errors_of_a_thread_come_after_its_items() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("at the end")

    results = in_thread(2 * each for each in in_thread(items()))
    assert next(results) == 2
    with pytest.raises(ValueError, match="at the end"):
        next(results)


def test_a_consumer_may_stop_early() -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.append(threading.current_thread().name)

    threads = threading.active_count()
    results = in_thread(-each for each in in_thread(items()))
    assert [next(results) for _ in range(3)] == [0, -1, -2]
    results.close()
    assert closed == ["opsin-pipeline"]
    assert threading.active_count() == threads
