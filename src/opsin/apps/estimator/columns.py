"""Tables whose columns have names, such as pandas', so that pixels in another order are not taken for the same image.

The sentences are those that scikit-learn's tools expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator.problems import InputError

SHOWN = 5


def names_of(x: Any) -> NDArray[np.object_] | None:
    """The names of a table's columns; None where it has none, or they are not all text."""
    names = getattr(x, "columns", None)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return np.array(list(names), dtype=object)


def check(x: Any, learnt: NDArray[np.object_] | None) -> None:
    """`InputError` where the columns of `x` have names that are not those `learnt`, in their order."""
    names = names_of(x)
    if names is None or learnt is None or np.array_equal(names, learnt):
        return
    told = [
        *_told("Feature names unseen at fit time:", sorted(set(names) - set(learnt))),
        *_told("Feature names seen at fit time, yet now missing:", sorted(set(learnt) - set(names))),
    ]
    told = told or ["Feature names must be in the same order as they were in fit.\n"]
    raise InputError("The feature names should match those that were passed during fit.\n" + "".join(told))


def _told(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{what}\n"
        yield from (f"- {name}\n" for name in names[:SHOWN])
    if len(names) > SHOWN:
        yield "- …\n"
