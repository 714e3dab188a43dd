"""Checks of what people give: NumPy's numbers count as Python's, and what is of no use is refused in words.

Whole numbers are those that Python takes as an index: of NumPy, of PyTorch, and arrays without axes that hold one.
Truth values and fractions are none, as in PyTorch.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from opsin.base.errors import UsageError
from opsin.ir.size import Dim, Size

LARGEST = 2**31 - 1
"""The largest size of an axis: kernels compute places in 32 bits."""

FARTHEST = 2**63 - 1
"""The largest whole number of any kind, such as a seed."""


def whole(what: str, value: object, least: int = -FARTHEST, most: int = FARTHEST) -> int:
    """`value` as Python's whole number; `UsageError`, which calls it `what`, where it is none or out of bounds."""
    try:
        number = None if _is_truth(value) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        hint = f"; write {value:.0f}" if isinstance(value, float) and value.is_integer() else ""
        raise UsageError(f"{what} must be a whole number, not {called(value)}{hint}")
    if not least <= number <= most:
        bound = f"at least {least:,}" if number < least else f"at most {most:,}"
        raise UsageError(f"{what} must be a whole number of {bound}, not {called(number)}")
    return number


def real(what: str, value: object, *, finite: bool = True) -> float:
    """`value` as Python's fraction; `UsageError` where it is no number, or not a finite one."""
    number = None
    if not _is_truth(value) and not isinstance(value, str | bytes) and not getattr(value, "ndim", 0):
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
    """`value` as Python's truth value: also NumPy's, 0 and 1."""
    if _is_truth(value):
        return bool(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if number not in (0, 1):
        raise UsageError(f"{what} must be True or False, not {called(value)}")
    return bool(number)


def text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{what} must be text, not {called(value)}")
    return str(value)


def path(what: str, value: object) -> str:
    """The path of a file or folder, as text."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{what} must be a path, as text or as a Path, not {called(value)}")
    found = os.fsdecode(os.fspath(value))
    if "\0" in found:
        raise UsageError(f"{what} must be a path, not {called(found)}")
    return found


def sequence(what: str, value: object, of: str = "numbers") -> list[Any]:
    """The items of a list, a tuple, an array or the like."""
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise UsageError(f"{what} must be a sequence of {of}, not {called(value)}")
    return list(value)


def dim(what: str, value: object) -> Dim:
    """A size or a place, which may depend on the batch."""
    return value if isinstance(value, Size) else whole(what, value)


def reals(what: str, value: object) -> tuple[float, ...]:
    return tuple([real(what, item) for item in sequence(what, value)])


def texts(what: str, value: object) -> tuple[str, ...]:
    return tuple([text(what, item) for item in sequence(what, value, "texts")])


def scale(what: str, value: object) -> Any:
    """Whole factors, for rows and columns alike or for each; also those that are written as fractions, such as 2.0."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", False):
        return tuple([scale(what, item) for item in sequence(what, value)])
    number = real(what, value)
    if not number.is_integer():
        raise UsageError(f"{what} must be a whole number, not {called(value)}; give the size that it leads to instead")
    return int(number)


def dims(what: str, value: object) -> tuple[Dim, ...]:
    return tuple([dim(what, item) for item in sequence(what, value, "whole numbers")])


def wholes(what: str, value: object) -> tuple[int, ...]:
    return tuple([whole(what, item) for item in sequence(what, value, "whole numbers")])


def one_or_more(what: str, value: object) -> Any:
    """A whole number, or whole numbers, in sequences of any depth: sizes by axis, paddings by side."""
    if type(value) is int:  # as most often
        return value
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | dict) and getattr(value, "ndim", True):
        return tuple([one_or_more(what, item) for item in value])
    return whole(what, value)


def shape(what: str, value: object) -> tuple[Dim, ...]:
    """Sizes of axes: none is negative."""
    if type(value) is tuple and all(type(size) is Size or (type(size) is int and size >= 0) for size in value):
        return value  # as nearly always
    found = dims(what, value)
    if any(not isinstance(size, Size) and size < 0 for size in found):
        raise UsageError(f"{what} must have sizes of at least 0, not {called(value)}")
    return found


def instance(what: str, value: object, kind: type | tuple[type, ...], words: str) -> None:
    """`UsageError` unless `value` is of that kind, which `words` call."""
    if not isinstance(value, kind):
        raise UsageError(f"{what} must be {words}, not {called(value)}")


def one_of(what: str, value: object, known: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"{what} must be one of {', '.join(known)}, not {called(value)}")
    return str(value)


def called(value: object, most: int = 60) -> str:
    """How messages call a value: as it is written, if that is short, and what it is if that does not show."""
    try:
        written = repr(value)
    except Exception:  # anybody's object
        written = ""
    kind = type(value).__name__
    if written and len(written) <= most and "\n" not in written:
        return written
    return (
        f"{written[: most - 1]}… ({kind})"
        if isinstance(value, str | int | list | tuple)
        else f"an object of type {kind}"
    )


def _is_truth(value: object) -> bool:
    """Whether `value` is Python's or NumPy's True or False, also in an array without axes."""
    kind = getattr(value, "dtype", None)
    return isinstance(value, bool) or (getattr(kind, "kind", "") == "b" and getattr(value, "ndim", 1) == 0)
