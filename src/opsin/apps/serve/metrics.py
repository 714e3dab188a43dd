"""Counters and histograms in the text format of Prometheus (prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

Labels = tuple[tuple[str, str], ...]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


@dataclass
class Counter:
    """A number that only grows, by labels."""

    name: str
    text: str
    values: dict[Labels, float] = field(default_factory=lambda: defaultdict(float))

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.text, "counter")
        for labels, value in sorted(self.values.items()):
            yield f"{self.name}{_labels(labels)} {value:g}"


@dataclass
class Histogram:
    """How often a number was at most each of `bounds`, by labels."""

    name: str
    text: str
    bounds: Sequence[float]
    counts: dict[Labels, list[int]] = field(default_factory=dict)
    sums: dict[Labels, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, labels: Labels, value: float) -> None:
        """Count a value."""
        counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] += value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.text, "histogram")
        for labels, counts in sorted(self.counts.items()):
            total = 0
            for bound, count in zip([*map(str, self.bounds), "+Inf"], counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_labels((*labels, ('le', bound)))} {total}"
            yield f"{self.name}_sum{_labels(labels)} {self.sums[labels]:g}"
            yield f"{self.name}_count{_labels(labels)} {total}"


class Metrics:
    """What a server has done. Any thread may count."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.requests = Counter("opsin_requests_total", "Requests by path and HTTP status.")
        self.images = Counter("opsin_images_total", "Images that were answered, by model.")
        self.reloads = Counter("opsin_reloads_total", "Model files that were read again, by model and result.")
        self.closed = Counter("opsin_connections_closed_total", "Connections that the server closed, by reason.")
        self.seconds = Histogram("opsin_request_seconds", "Time from the request's head to its answer.", SECONDS)
        self.batches = Histogram("opsin_batch_images", "Images that were computed together, by model.", BATCHES)
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        """Text and value of numbers that are read when they are asked for, by name."""

    def count(self, counter: Counter, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            counter.values[tuple(labels.items())] += amount

    def observe(self, histogram: Histogram, value: float, **labels: str) -> None:
        """Count a value in a histogram."""
        with self._lock:
            histogram.add(tuple(labels.items()), value)

    def text(self) -> str:
        """Return all numbers."""
        with self._lock:
            parts = (self.requests, self.images, self.reloads, self.closed, self.seconds, self.batches)
            lines = [line for part in parts for line in part.lines()]
        for name, (text, value) in self.gauges.items():
            lines += [*_head(name, text, "gauge"), f"{name} {value():g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(labels: Labels) -> str:
    pairs = (f'{key}="{_escaped(value)}"' for key, value in labels)
    return f"{{{','.join(pairs)}}}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
