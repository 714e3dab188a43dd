"""Count frames, and measure how fast they are processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np

from opsin.base.errors import DataError
from opsin.data.frames import Frame

RATE_SECONDS = 3.0
"""Seconds over which the current frames per second are averaged."""

MAX_LATENCIES = 10_000
"""Frames, the last ones, of which the quantiles of the latency are computed."""


class FrameStatistics:
    """The statistics of the frames so far. The latency of a frame ends when it is added."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.frames = self.dropped = self.errors = 0
        self.latency = 0.0
        """That of the last frame, in seconds."""
        self._latencies: deque[float] = deque(maxlen=MAX_LATENCIES)
        self._recent: deque[float] = deque()
        self._begin = self._end = clock()

    def add(self, frame: Frame[Any]) -> None:
        """Count a frame that has just been processed."""
        self._end = now = self._clock()
        self.latency = max(0.0, now - frame.arrival)
        self.dropped += frame.dropped
        if isinstance(frame.content, DataError):
            self.errors += 1
            return
        if not self.frames:
            self._begin = min(now, frame.arrival)
        self.frames += 1
        self._latencies.append(self.latency)
        self._recent.append(now)
        while now - self._recent[0] > RATE_SECONDS:
            self._recent.popleft()

    @property
    def rate(self) -> float:
        """Frames per second, from the arrival of the first to the answer to the last."""
        return self.frames / max(self._end - self._begin, 1e-9) if self.frames else 0.0

    def status(self) -> str:
        """Return the current speed: "31.2 frames/s, 4 skipped"."""
        return f"{self._current_rate():.1f} frames/s{self._skipped()}"

    def summary(self) -> list[str]:
        """Return lines such as "120 frames, 3 skipped, 31.2 frames/s"."""
        if not self.frames:
            return [f"no frames{self._skipped()}"]
        median, high = (1000 * value for value in np.percentile(list(self._latencies), (50, 95)))
        return [
            f"{self.frames:,} frame{'s' * (self.frames != 1)}{self._skipped()}, {self.rate:.1f} frames/s",
            f"latency {median:.1f} ms (median), {high:.1f} ms (95th percentile)",
        ]

    def _current_rate(self) -> float:
        if len(self._recent) < 2:
            return self.rate
        return (len(self._recent) - 1) / max(self._recent[-1] - self._recent[0], 1e-9)

    def _skipped(self) -> str:
        return f", {self.dropped:,} skipped" if self.dropped else ""
