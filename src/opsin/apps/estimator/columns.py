"""Check the column names of tables such as pandas', to detect reordered pixels.

The messages are those that scikit-learn's tools expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator.errors import InputError

MAX_NAMES = 5
"""The most names that a message lists."""


def column_names(x: Any) -> NDArray[np.object_] | None:
    """Return the names of a table's columns; None if it has none, or not all of them are text."""
    names = getattr(x, "columns", None)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return np.array(list(names), dtype=object)


def check_columns(x: Any, fitted_names: NDArray[np.object_] | None) -> None:
    """Raise `InputError` if `x` has column names that differ from `fitted_names`, also in their order."""
    names = column_names(x)
    if names is None or fitted_names is None or np.array_equal(names, fitted_names):
        return
    differences = [
        *_listed("Feature names unseen at fit time:", sorted(set(names) - set(fitted_names))),
        *_listed("Feature names seen at fit time, yet now missing:", sorted(set(fitted_names) - set(names))),
    ]
    differences = differences or ["Feature names must be in the same order as they were in fit.\n"]
    raise InputError("The feature names should match those that were passed during fit.\n" + "".join(differences))


def _listed(title: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{title}\n"
        yield from (f"- {name}\n" for name in names[:MAX_NAMES])
    if len(names) > MAX_NAMES:
        yield "- …\n"
