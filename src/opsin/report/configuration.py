"""How a model was trained: the settings in its training record, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from opsin.report.common import Report
from opsin.training.learning_curve import KEY

EXCLUDED_KEYS = ("history", "test", "fingerprint", KEY)
"""Keys that the report shows elsewhere or that are not informative."""


def configuration(report: Report) -> str:
    """Return network, input size and settings as an HTML list."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in settings(report.record))
    size = " × ".join(map(str, report.shape))
    return f"<dl><dt>network</dt><dd>{escape(report.network)}</dd><dt>input</dt><dd>{size}</dd>{rows}</dl>"


def settings(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values; names of nested settings are joined: `plan, seed`."""
    for key, value in record.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if (not prefix and key in EXCLUDED_KEYS) or value is None or value == []:
            continue
        if isinstance(value, Mapping):
            yield from settings(value, f"{name}, ")
        elif isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
            for number, each in enumerate(value, start=1):
                yield f"{name}, {number}", ", ".join(f"{a} {b}" for a, b in settings(each))
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        else:
            yield name, f"{value:g}" if isinstance(value, float) else str(value)
