"""What the reports of all tasks have in common: which images were measured, the training, the data and the speed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opsin.data import Dataset, Samples
from opsin.data.ingest.receipt import Receipt
from opsin.inputs.registry import IMAGE
from opsin.model import Model
from opsin.model.record import Split, held_out_split, measured_images, measured_on
from opsin.report.history import Diagnosis, EpochRecord, diagnose, epoch_records
from opsin.report.speed import Speed

SECONDS = 80.0
"""Default time for a report, without compilation and the evaluation itself."""

SPEED_TIME = 0.05
"""The share of that time in which the speed is measured."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """The measurements of a model called `model`, on images of `data`. Missing measurements are None.

    `trained_here`: the model was trained on another split of the same data, and `split` is the one it was measured on;
    data without test images is measured on the validation or training images. `record` is the training record, `shape`
    that of the network's images, and `seconds` the time that the measurements took. `thumbnails` maps keys to `data:`
    URLs. `see` is the file name of a page of `opsin see` about the mistakes, in their order; empty if there is none.
    `kind` is the kind of input.
    """

    model: str
    network: str
    data: str
    record: dict[str, Any]
    trained_here: bool
    split: Split
    shape: tuple[int, int, int]
    history: tuple[EpochRecord, ...]
    diagnosis: Diagnosis | None
    receipt: Receipt | None
    speed: Speed
    seconds: float
    thumbnails: dict[str, str] = field(default_factory=dict, repr=False)
    see: str = ""
    kind: str = IMAGE


def is_trained_here(model: Model, data: Dataset) -> bool:
    """Return whether the model was trained on the training split of this data."""
    return bool(data.fingerprint == model.record.get("fingerprint"))


def evaluated_images(model: Model, data: Dataset) -> Samples:
    """Return the test split of `data`, or all of it if the model was trained on other data."""
    return measured_images(data) if is_trained_here(model, data) or data.predefined_split else data.all_images()


def known_facts(model: Model, data: Dataset, metric: str) -> dict[str, Any]:
    """Return the fields of a `Report` that need no measurement. `metric` is the main one of the task."""
    trained_here = is_trained_here(model, data)
    history = epoch_records(model.record, metric) if trained_here else ()
    was_held_out = held_out_split(data) != "training"
    return {
        "model": model.name, "network": model.network, "data": data.name, "record": model.record,
        "trained_here": trained_here, "split": measured_on(data), "shape": model.preprocessing.shape,
        "kind": model.kind,
        "history": history, "receipt": data.receipt,
        "diagnosis": diagnose(history, model.record.get("held_out")) if was_held_out else None,
    }  # fmt: skip
