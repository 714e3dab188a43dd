"""Frames wait in order; when the processing is behind, only the newest is taken."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from opsin.data.frames.backlog import MAX_DELAY, RECOVERY, Backlog


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(backlog: Backlog[int]) -> tuple[int, int]:
    result = backlog.take()
    assert result
    return result.item, result.dropped


def test_frames_keep_their_order_as_long_as_none_waits_for_long(clock: Clock) -> None:
    backlog = Backlog[int](Event(), clock=clock)
    for number in range(5):
        backlog.put(number)
    clock.now += MAX_DELAY
    assert [taken(backlog) for _ in range(5)] == [(number, 0) for number in range(5)]
    backlog.close()
    assert backlog.take() is None


def test_the_newest_frame_is_taken_until_the_processing_has_recovered(clock: Clock) -> None:
    backlog = Backlog[int](Event(), clock=clock)
    for number in range(5):
        backlog.put(number)
    clock.now += 1.01 * MAX_DELAY
    result = backlog.take()
    assert result == (4, clock.now - 1.01 * MAX_DELAY, 4)
    clock.now += RECOVERY / 2
    for number in (5, 6):
        backlog.put(number)
    assert taken(backlog) == (6, 1)
    clock.now += 0.9 * RECOVERY  # counted from the last dropped frame
    for number in (7, 8):
        backlog.put(number)
    assert taken(backlog) == (8, 1)
    clock.now += 1.1 * RECOVERY
    for number in (9, 10):
        backlog.put(number)
    assert [taken(backlog), taken(backlog)] == [(9, 0), (10, 0)]


def test_frames_from_the_beginning_are_never_dropped(clock: Clock) -> None:
    backlog = Backlog[int](Event(), clock=clock)
    for number in range(3):
        backlog.put(number, in_time=False)
    for number in range(3, 6):
        backlog.put(number)
    clock.now += 10 * MAX_DELAY
    first = backlog.take()
    assert first == (0, clock.now, 0)  # it arrives when it is taken
    assert [taken(backlog) for _ in range(3)] == [(1, 0), (2, 0), (5, 2)]


def test_a_limit_drops_the_oldest(clock: Clock) -> None:
    backlog = Backlog[int](Event(), 2, clock)
    for number in range(5):
        backlog.put(number)
    assert [taken(backlog), taken(backlog)] == [(3, 3), (4, 0)]


def test_an_error_comes_after_the_last_frame(clock: Clock) -> None:
    backlog = Backlog[int](Event(), clock=clock)
    backlog.put(1)
    backlog.close(ValueError("unplugged"))
    backlog.close()
    assert taken(backlog) == (1, 0)
    with pytest.raises(ValueError, match="unplugged"):
        backlog.take()


def test_a_waiting_thread_is_woken() -> None:
    stop, is_taken = Event(), Event()
    backlog = Backlog[int](stop)
    results: list[object] = []

    def take() -> None:
        results.append(taken(backlog))
        is_taken.set()
        results.append(backlog.take())

    thread = Thread(target=take)
    thread.start()
    backlog.put(1)
    assert is_taken.wait(10)
    stop.set()
    thread.join(10)
    assert results == [(1, 0), None]
