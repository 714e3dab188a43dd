"""`load`: one door for everything that can be trained on."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import numpy as np

from opsin.data import idx
from opsin.data.dataset import Dataset, Pictures
from opsin.data.folders import load_folders
from opsin.data.preprocessing import Preprocessing
from opsin.errors import DataError

DIGITS = "digits"
WHAT = "'digits' (built in), a folder with MNIST's files, or a folder with one folder of pictures for each class"


def load(source: str | os.PathLike[str], like: Preprocessing | None = None) -> Dataset:
    """The labelled pictures of `source`: "digits", an IDX folder, or a folder of class folders.

    Picture files take the size and kind that `like` (a model's `preprocessing`) asks for; without
    it grey or RGB, and a size up to 64 × 64, by what they are. A fifth of each class is held out
    where the source has no test part. Raises `DataError` for what cannot be used.
    """
    if source == DIGITS:
        return digits()
    path = Path(source)
    if not os.path.exists(path):
        raise DataError(f"{path}: there is no such folder; give {WHAT}")
    if not os.path.isdir(path):
        raise DataError(f"{path} is a file; give {WHAT}")
    try:
        parts = idx.find(path)
        return idx.load_idx(path, parts) if parts else load_folders(path, like)
    except PermissionError as error:
        raise DataError(f"{error.filename}: reading this folder is not permitted; change its permissions") from None


def digits() -> Dataset:
    """The built-in handwritten digits, a part of MNIST; digits.md beside the file says which."""
    with (files("opsin.data") / "digits.npz").open("rb") as file, np.load(file) as arrays:
        classes = tuple("0123456789")
        parts = [
            Pictures(arrays[f"{part}_pixels"][:, None], arrays[f"{part}_labels"].astype(np.int32), classes)
            for part in ("train", "test")
        ]
    return Dataset(DIGITS, parts[0], parts[1], own_split=True)
