"""How a model was made, as its record tells it: settings as a table, whatever they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from opsin.report.model_report import ModelReport

LEFT_OUT = ("history", "test", "fingerprint")
"""What the report tells elsewhere, or what tells people nothing."""


def configuration(account: ModelReport) -> str:
    """A list of names and values; empty where the model has no record."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in settings(account.record))
    size = " × ".join(map(str, account.shape))
    return f"<dl><dt>network</dt><dd>{escape(account.network)}</dd><dt>input</dt><dd>{size}</dd>{rows}</dl>"


def settings(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values in `record`, those inside others with both names: `plan, seed`."""
    for key, value in record.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if (not prefix and key in LEFT_OUT) or value is None or value == []:
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
