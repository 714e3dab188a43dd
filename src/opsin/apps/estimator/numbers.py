"""Numbers for images as an estimator takes them, and their form as targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator import files
from opsin.apps.estimator.errors import InputError
from opsin.data import AnnotatedImages, Dataset
from opsin.data.items import Source
from opsin.tasks.regression import Quantities, Regression
from opsin.tasks.regression.quantities import Reading


@dataclass(frozen=True, eq=False)
class NumberTarget:
    """`values` are float64 N × quantities with these `names`; `is_flat` says that y was N numbers."""

    values: NDArray[np.float64]
    names: tuple[str, ...]
    is_flat: bool

    @classmethod
    def of(cls, y: Any, count: int) -> NumberTarget:
        """Return the numbers in y for `count` images. Raise `InputError` if y is anything else."""
        values = check_numbers(y, count)
        return cls(values, _names(y, values.shape[1]), np.asarray(y).ndim == 1)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the task."""
        return {"labels": self.names}

    def images(self, pixels: NDArray[np.uint8]) -> AnnotatedImages:
        """Return images, uint8 N×C×H×W, with their numbers."""
        quantities = Quantities(self.values)
        return AnnotatedImages(pixels, quantities, Regression.of(self.settings, quantities))

    def source(self, paths: Sequence[str]) -> tuple[Source, str]:
        """Return a source of these files with their numbers, and its key in the cache of decoded images."""
        readings = [Reading(tuple(row)) for row in self.values.tolist()]
        return files.annotated_source(paths, readings, Regression, self.settings)

    def present(self, data: Dataset) -> NumberTarget:
        """Return the target itself: all quantities are present in any data."""
        return self


def check_numbers(y: Any, count: int) -> NDArray[np.float64]:
    """Return y as float64, `count` × quantities. Raise `InputError` if it is anything else."""
    if y is None:
        raise InputError(
            "ImageRegressor requires y to be passed, but the target y is None; give a number for each image"
        )
    try:
        values = np.asarray(y)
        if values.dtype.kind == "c":
            raise InputError("Complex data not supported: y holds real numbers")
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"y is not a number for each image ({error})") from None
    if values.ndim not in (1, 2) or len(values) != count or not values.size:
        raise InputError(f"X holds {count} images, and y is {values.shape}; give a number, or several, for each image")
    if not np.isfinite(values).all():
        kind = "NaN" if np.isnan(values).any() else "infinity (inf)"
        raise InputError(f"y contains {kind}; give a number for each image, or leave those images out")
    return values.reshape(count, -1)


def _names(y: Any, quantities: int) -> tuple[str, ...]:
    """Return the names of pandas' columns, or "y", or "y1", "y2", …"""
    given = list(getattr(y, "columns", [])) or [getattr(y, "name", None)]
    if len(given) == quantities and all(isinstance(name, str) and name for name in given):
        return tuple(given)
    return ("y",) if quantities == 1 else tuple(f"y{number}" for number in range(1, quantities + 1))
