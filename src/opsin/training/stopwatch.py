"""The time that training takes."""

from __future__ import annotations

from collections.abc import Callable


class Stopwatch:
    """Measures successive intervals by `clock`, which gives the time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.last = clock()

    def lap(self) -> float:
        """Return the seconds since the last lap, or since the stopwatch was made."""
        last, self.last = self.last, self.clock()
        return self.last - last
