"""The training record of a model file: on which split of the data its accuracy was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from opsin.data import Dataset

Split: TypeAlias = Literal["test", "validation", "training"]


def evaluation_split(data: Dataset) -> Split:
    """Return the split that `data.test` contains: the test split, or its substitute if the data has none."""
    if data.test is data.train:
        return "training"
    return "validation" if data.test is data.validation else "test"


def held_out_split(data: Dataset) -> Split:
    """Return the split on which a run measures every epoch."""
    return "validation" if data.validation is not None else evaluation_split(data)


def measured_on(record: Mapping[str, Any]) -> Split:
    """Return the split of the record's "test" figures; Opsin 0.1.0 did not record it and called all of them test."""
    split = record.get("measured_on")
    return split if split in ("validation", "training") else "test"
