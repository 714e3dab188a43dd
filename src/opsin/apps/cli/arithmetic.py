"""How a command lets a model compute: its precision, bit-identical or fast, and what int8 needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.apps.cli.output import print_labelled
from opsin.base.errors import DataError, UsageError
from opsin.base.spread import spread
from opsin.data.sources import image_files
from opsin.model.int8 import INT8, MAX_IMAGES, accurate_record, agreement_of, model_precision

if TYPE_CHECKING:
    from opsin.model import Model


ArithmeticOptions = tuple[Any, ...]
"""The fields of `Arithmetic`, or the first of them."""


@dataclass(frozen=True)
class Arithmetic:
    """The options of a command.

    `calibrate` is a folder of images on which the ranges for int8 are observed; None: those in the model file.
    `max_drop` is the largest loss in percentage points.
    """

    precision: str = "float32"
    portable: bool = False
    calibrate: str | None = None
    max_drop: float | None = None

    def checked(self) -> Arithmetic:
        """Return the options. Raise `UsageError` if they contradict each other."""
        model_precision(self.precision)
        for name, value in (("--calibrate", self.calibrate), ("--max-drop", self.max_drop)):
            if value is not None and self.precision != INT8:
                raise UsageError(f"{name} is for predictions in 8-bit integers; add --precision int8, or leave it out")
        return self

    def apply(self, model: Model) -> None:
        """Set the options of `model`; calibrate it if that is asked for, and say how well int8 agrees with float32.

        Raise `ModelError` if the model cannot predict in int8.
        """
        model.precision, model.portable = self.precision, self.portable
        if self.max_drop is not None:
            model.max_drop = self.max_drop
        if self.calibrate is not None:
            images = calibration_images(model, self.calibrate)
            record = model.quantize(list(images))
            agreement = agreement_of(model, images) if model.preprocessing.frames == 1 else None
            note = f": {agreement}" if agreement else ""
            print_labelled("Note: ", "cyan", f"int8 ranges from {record.images} images in {self.calibrate}{note}")
        elif self.precision == INT8:
            accurate_record(model)


def calibration_images(model: Model, folder: str) -> np.ndarray:
    """Return evenly spaced images of a folder and those below it, as the network takes them.

    Raise `DataError` if there are none, or if one cannot be read.
    """
    if not os.path.isdir(folder):
        raise DataError(f"--calibrate {folder}: this is not a folder; give one with images like those to be predicted")
    paths = image_files(Path(folder))
    if not paths:
        raise DataError(f"--calibrate {folder}: there are no images in this folder")
    chosen = [paths[index] for index in spread(len(paths), MAX_IMAGES)]
    return np.stack([model.preprocessing.read(path, str(path)) for path in chosen])
