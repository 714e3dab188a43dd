"""Validation and conversion of arguments. NumPy's numbers count as Python's; a wrong argument is a `UsageError`.

Whole numbers are those that Python accepts as an index: of NumPy, of PyTorch, and arrays without axes that hold one.
As in PyTorch, booleans and floats are no whole numbers.

In all functions, `what` is how messages call the argument.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from opsin.base.errors import UsageError
from opsin.ir.size import Dim, Size

MAX_SIZE = 2**31 - 1
"""The largest size of an axis: kernels compute indices in 32 bits."""

MAX_INT = 2**63 - 1
"""The largest whole number of any kind, such as a seed."""


def whole(what: str, value: object, minimum: int = -MAX_INT, maximum: int = MAX_INT) -> int:
    """Return `value` as an `int`. Raise `UsageError` if it is no whole number or out of bounds."""
    try:
        number = None if _is_boolean(value) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        hint = f"; write {value:.0f}" if isinstance(value, float) and value.is_integer() else ""
        raise UsageError(f"{what} must be a whole number, not {called(value)}{hint}")
    if not minimum <= number <= maximum:
        limit = f"at least {minimum:,}" if number < minimum else f"at most {maximum:,}"
        raise UsageError(f"{what} must be a whole number of {limit}, not {called(number)}")
    return number


def real(what: str, value: object, *, finite: bool = True) -> float:
    """Return `value` as a `float`. Raise `UsageError` if it is no number, or with `finite` if it is NaN or infinite."""
    number = None
    if not _is_boolean(value) and not isinstance(value, str | bytes) and not getattr(value, "ndim", 0):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = None
    if number is None:
        raise UsageError(f"{what} must be a number, not {called(value)}")
    if finite and not isfinite(number):
        raise UsageError(f"{what} must be a finite number, not {number}")
    return number


def flag(what: str, value: object) -> bool:
    """Return `value` as a `bool`: Python's and NumPy's booleans, 0 and 1."""
    if _is_boolean(value):
        return bool(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if number not in (0, 1):
        raise UsageError(f"{what} must be True or False, not {called(value)}")
    return bool(number)


def text(what: str, value: object) -> str:
    """Return `value` as a `str`."""
    if not isinstance(value, str):
        raise UsageError(f"{what} must be text, not {called(value)}")
    return str(value)


def path(what: str, value: object) -> str:
    """Return the path of a file or folder as text."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{what} must be a path, as text or as a Path, not {called(value)}")
    text = os.fsdecode(os.fspath(value))
    if not text or "\0" in text:
        raise UsageError(f"{what} must be a path, not {called(text)}")
    return text


def sequence(what: str, value: object, of: str = "numbers") -> list[Any]:
    """Return the items of a list, a tuple, an array or another iterable."""
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise UsageError(f"{what} must be a sequence of {of}, not {called(value)}")
    return list(value)


def dim(what: str, value: object) -> Dim:
    """Return a size or an index, which may depend on the batch."""
    return value if isinstance(value, Size) else whole(what, value)


def reals(what: str, value: object) -> tuple[float, ...]:
    """Return a sequence of numbers as `float`s."""
    return tuple([real(what, item) for item in sequence(what, value)])


def texts(what: str, value: object) -> tuple[str, ...]:
    """Return a sequence of strings."""
    return tuple([text(what, item) for item in sequence(what, value, "texts")])


def scale(what: str, value: object) -> Any:
    """Return whole factors, one for rows and columns or one for each; they may be written as floats, such as 2.0."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", False):
        return tuple([scale(what, item) for item in sequence(what, value)])
    number = real(what, value)
    if not number.is_integer():
        raise UsageError(f"{what} must be a whole number, not {called(value)}; give the size that it leads to instead")
    return int(number)


def dims(what: str, value: object) -> tuple[Dim, ...]:
    """Return a sequence of sizes, which may depend on the batch."""
    return tuple([dim(what, item) for item in sequence(what, value, "whole numbers")])


def wholes(what: str, value: object) -> tuple[int, ...]:
    """Return a sequence of whole numbers as `int`s."""
    return tuple([whole(what, item) for item in sequence(what, value, "whole numbers")])


def one_or_more(what: str, value: object) -> Any:
    """Return a whole number, or whole numbers in nested sequences: sizes by axis, paddings by side."""
    if type(value) is int:  # the usual case
        return value
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | dict) and getattr(value, "ndim", True):
        return tuple([one_or_more(what, item) for item in value])
    return whole(what, value)


def shape(what: str, value: object) -> tuple[Dim, ...]:
    """Return the sizes of axes. Raise `UsageError` if one is negative."""
    if type(value) is tuple and all(type(size) is Size or (type(size) is int and size >= 0) for size in value):
        return value  # the usual case
    sizes = dims(what, value)
    if any(not isinstance(size, Size) and size < 0 for size in sizes):
        raise UsageError(f"{what} must have sizes of at least 0, not {called(value)}")
    return sizes


def instance(what: str, value: object, kind: type | tuple[type, ...], words: str) -> None:
    """Raise `UsageError` unless `value` is an instance of `kind`; `words` describe that kind."""
    if not isinstance(value, kind):
        raise UsageError(f"{what} must be {words}, not {called(value)}")


def one_of(what: str, value: object, choices: Sequence[str]) -> str:
    """Return `value`, one of the `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise UsageError(f"{what} must be one of {', '.join(choices)}, not {called(value)}")
    return str(value)


def called(value: object, limit: int = 60) -> str:
    """Return a value for a message: its `repr` if that is short, otherwise its beginning or its type."""
    try:
        text = repr(value)
    except Exception:  # an object of any class
        text = ""
    kind = type(value).__name__
    if text and len(text) <= limit and "\n" not in text:
        return text
    return (
        f"{text[: limit - 1]}… ({kind})" if isinstance(value, str | int | list | tuple) else f"an object of type {kind}"
    )


def _is_boolean(value: object) -> bool:
    """Return whether `value` is a boolean of Python or NumPy, also in an array without axes."""
    kind = getattr(value, "dtype", None)
    return isinstance(value, bool) or (getattr(kind, "kind", "") == "b" and getattr(value, "ndim", 1) == 0)
