"""Errors and warnings of the estimator, in the classes that scikit-learn's tools expect."""

from __future__ import annotations

import sys

from opsin.base.errors import DataError, UsageError


class InputError(DataError, ValueError):
    """Images or labels cannot be used."""


class InputTypeError(InputError, TypeError):
    """The images contain an object that cannot be converted to a number."""


class ParameterError(UsageError, ValueError):
    """There is no such parameter."""


class NotFitted(UsageError, ValueError, AttributeError):
    """A method was called that needs `fit` first."""


def not_fitted(name: str) -> NotFitted:
    """Return the error to raise. If scikit-learn is loaded, it is also a `NotFittedError`."""
    error: type[NotFitted] = type("NotFitted", (NotFitted, *_sklearn_class("NotFittedError")), {})
    return error(f"this {name} is not fitted yet; call fit(X, y) first")


def column_warning() -> Warning:
    """Return the warning that y is a column. If scikit-learn is loaded, it is a `DataConversionWarning`."""
    category = (*_sklearn_class("DataConversionWarning"), UserWarning)[0]
    warning: Warning = category("A column-vector y was passed when a 1d array was expected; give y.ravel()")
    return warning


def _sklearn_class(name: str) -> tuple[type, ...]:
    """Return the class of that name in `sklearn.exceptions`; nothing if that module is not loaded."""
    module = sys.modules.get("sklearn.exceptions")
    return (getattr(module, name),) if module else ()
