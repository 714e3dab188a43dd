"""What goes wrong with an estimator, in the classes that scikit-learn's tools look for."""

from __future__ import annotations

import sys

from opsin.base.errors import DataError, UsageError


class InputError(DataError, ValueError):
    """Images or labels that cannot be used."""


class KindError(InputError, TypeError):
    """Something among the images that is no number and cannot be made one."""


class ParameterError(UsageError, ValueError):
    """There is no such parameter."""


class NotFitted(UsageError, ValueError, AttributeError):
    """What needs `fit` was asked for before it."""


def not_fitted(name: str) -> NotFitted:
    """The error to raise; also one of scikit-learn's own kind, where that is loaded."""
    both: type[NotFitted] = type("NotFitted", (NotFitted, *_theirs("NotFittedError")), {})
    return both(f"this {name} has learnt nothing yet; call fit(X, y) first")


def column() -> Warning:
    """The warning that labels are a column where a row is meant; of scikit-learn's own kind, where that is loaded."""
    kind = (*_theirs("DataConversionWarning"), UserWarning)[0]
    found: Warning = kind("A column-vector y was passed when a 1d array was expected; give y.ravel()")
    return found


def _theirs(name: str) -> tuple[type, ...]:
    """The class that scikit-learn calls so, where that is loaded."""
    module = sys.modules.get("sklearn.exceptions")
    return (getattr(module, name),) if module else ()
