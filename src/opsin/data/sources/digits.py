"""The built-in handwritten digits, a part of MNIST; see digits.md next to the arrays."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from opsin.data.dataset import Dataset, LabeledImages

DIGITS = "digits"


def digits() -> Dataset:
    """Return the built-in data set."""
    with (files("opsin.data") / "digits.npz").open("rb") as file, np.load(file) as arrays:
        classes = tuple("0123456789")
        splits = [
            LabeledImages(arrays[f"{split}_pixels"][:, None], arrays[f"{split}_labels"].astype(np.int32), classes)
            for split in ("train", "test")
        ]
    return Dataset(DIGITS, splits[0], splits[1], predefined_split=True)
