"""The built-in handwritten digits, a part of MNIST; digits.md beside the arrays says which."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from opsin.data.dataset import Dataset, LabeledImages

DIGITS = "digits"


def digits() -> Dataset:
    with (files("opsin.data") / "digits.npz").open("rb") as file, np.load(file) as arrays:
        classes = tuple("0123456789")
        parts = [
            LabeledImages(arrays[f"{part}_pixels"][:, None], arrays[f"{part}_labels"].astype(np.int32), classes)
            for part in ("train", "test")
        ]
    return Dataset(DIGITS, parts[0], parts[1], predefined_split=True)
