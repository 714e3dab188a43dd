"""Inputs of a model of another kind than images: files, their bytes, and the values of programs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError, UsageError
from opsin.inputs import InputKind
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.ir import show
from opsin.ir.arguments import called

if TYPE_CHECKING:
    from opsin.model.model import Model


def read_samples(values: Any, input: InputKind) -> NDArray[Any]:
    """Return one value or several as samples, N × C × H × W; raise `DataError` for others."""
    if isinstance(values, np.ndarray) and values.shape[1:] == input.shape and values.dtype == input.dtype:
        return values
    one = _read(values, input, f"the {NOUNS[input.kind][0]}")
    if one is not None:
        return one[None]
    if not isinstance(values, Iterable):
        raise _unsupported(values, input)
    samples = []
    for number, value in enumerate(values, start=1):
        sample = _read(value, input, f"{NOUNS[input.kind][0]} {number}")
        if sample is None:
            raise _unsupported(value, input)
        samples.append(sample)
    return np.stack(samples) if samples else np.empty((0, *input.shape), input.dtype)


def _read(value: Any, input: InputKind, name: str) -> NDArray[Any] | None:
    """Return the sample of a path, of an array of its shape, or of what the kind of input knows; None for others."""
    if isinstance(value, os.PathLike):
        return input.read(Path(value), str(value))
    if isinstance(value, np.ndarray) and value.shape == input.shape and value.dtype == input.dtype:
        return value
    return input.from_value(value, name)


def _unsupported(value: Any, input: InputKind) -> DataError:
    one, many = NOUNS[input.kind]
    dtype = np.dtype(input.dtype)
    return DataError(
        f"{called(value)} is no {one}; give a pathlib.Path, the bytes of a file, or an array of {dtype} "
        f"{show(input.shape)}; several {many} are a list of these"
    )


def require_images(model: Model, what: str) -> None:
    """Raise `UsageError` unless the model takes images, which is all that `what` is for."""
    if model.kind != IMAGE:
        raise UsageError(f"{model.name} is a model of {NOUNS[model.kind][1]}; {what} is for models of images")
