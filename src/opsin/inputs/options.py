"""Options of kinds of input: how recordings, texts and signals are read, such as rate=8000,seconds=2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opsin.base.errors import UsageError
from opsin.base.formatting import listed

Check = Callable[[str], Any]
"""Returns the value that a text stands for, or raises `ValueError` with what is allowed."""


def checked_options(given: Mapping[str, Any], checks: Mapping[str, Check], many: str) -> dict[str, Any]:
    """Return the values of the options for `many` ("recordings").

    Raise `UsageError` for an option that is unknown, or whose value its check refuses.
    """
    result = {}
    for name, value in given.items():
        if name not in checks:
            known = listed(list(checks), conjunction="and")
            raise UsageError(f"{many} have no option '{name}'; there are {known}")
        try:
            result[name] = checks[name](str(value))
        except ValueError as error:
            raise UsageError(f"the option {name} of {many} is {error}, not {value}") from None
    return result


def number_in(low: float, high: float, unit: str) -> Check:
    """Return a check for real numbers in an interval."""

    def check(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"{low:g} to {high:g} {unit}")
        return value

    return check


def whole_in(low: int, high: int, unit: str) -> Check:
    """Return a check for whole numbers in an interval."""

    def check(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,} {unit}")
        return int(text)

    return check


def one_of(*names: str) -> Check:
    """Return a check for one of several words."""

    def check(text: str) -> str:
        if text not in names:
            raise ValueError(" or ".join(names))
        return text

    return check
