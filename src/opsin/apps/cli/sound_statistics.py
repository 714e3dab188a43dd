"""Statistics of sound that is followed."""

from __future__ import annotations

from collections import deque
from time import process_time

import numpy as np

MAX_LATENCIES = 10_000
"""Windows, the last ones, of which the quantiles of the latency are computed."""


class SoundStatistics:
    """Counts windows and words. The largest values are those of the whole stream."""

    def __init__(self) -> None:
        self.windows = self.words = self.skipped = 0
        self.worst_latency = self.most_behind = 0.0
        self._latencies: deque[float] = deque(maxlen=MAX_LATENCIES)
        self._begin = process_time()

    def add(self, latency: float, behind: float, is_word: bool) -> None:
        """Count a window with its latency, and the sound that waited after it, in seconds."""
        if not self.windows:
            self._begin = process_time()
        self.windows += 1
        self.words += is_word
        self.worst_latency = max(self.worst_latency, latency)
        self.most_behind = max(self.most_behind, behind)
        self._latencies.append(latency)

    def summary(self, seconds: float) -> list[str]:
        """Return lines for so many seconds of sound."""
        if not self.windows:
            return ["no sound"]
        skipped = f", {self.skipped:,} skipped" if self.skipped else ""
        median, high = (1000 * value for value in np.percentile(list(self._latencies), (50, 95)))
        used = 1000 * (process_time() - self._begin) / max(1, self.windows - 1)
        return [
            f"{seconds:,.1f} s of sound, {self.windows:,} window{'s' * (self.windows != 1)}{skipped}, "
            f"{self.words:,} word{'s' * (self.words != 1)}, at most {self.most_behind:.1f} s behind",
            f"latency {median:.1f} ms (median), {high:.1f} ms (95th percentile), {1000 * self.worst_latency:.1f} ms "
            f"(worst); {used:.1f} ms of processor time a window",
        ]
