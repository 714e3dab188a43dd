"""The garbage collector is paused while graphs are created, and only then."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from opsin.base import gc_pause
from opsin.ir import gc_paused


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_the_collector_is_paused_inside_only() -> None:
    with gc_paused():
        assert not gc.isenabled()
        with gc_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_resumes_after_an_error() -> None:
    @gc_paused()
    def fail() -> None:
        assert not gc.isenabled()
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            fail()
        assert gc.isenabled()


def test_a_disabled_collector_stays_disabled() -> None:
    gc.disable()
    with gc_paused():
        pass
    assert not gc.isenabled()


class Knot:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_many_new_objects_are_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_pause, "MAX_UNCOLLECTED_OBJECTS", 1000)
    monkeypatch.setattr(gc_pause, "_uncollected", 0)
    with gc_paused():
        first = weakref.ref(Knot())
    assert first() is not None
    with gc_paused():
        knots = [Knot() for _ in range(1000)]
        second = weakref.ref(knots.pop())
    assert first() is None
    assert second() is None
    assert all(knot.me is knot for knot in knots)


def test_frozen_objects_stay_frozen() -> None:
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        with gc_paused():
            pass
        assert gc.get_freeze_count() == count > 0
    finally:
        gc.unfreeze()
