"""Going on with a run that was begun before, from nothing but its folder."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opsin import nn
from opsin.data import Dataset
from opsin.data import load as load_data
from opsin.backends.native import compile as compile_native
from opsin.base.errors import DataError, UsageError
from opsin.model import Engine
from opsin.model.pretrained import preprocessing_of
from opsin.runs.log import read_log
from opsin.training.trainer import Trainer
from opsin.training.plan import TrainingPlan
from opsin.runs.run import LOG, MODEL, Run, made_with


def reopen(
    folder: Path,
    *,
    data: Dataset | None = None,
    network: nn.Layer | None = None,
    threads: int | None = None,
    engine: Engine = compile_native,
) -> Trainer:
    """The training of the run in `folder`, at its last checkpoint. Raises `UsageError` where there is nothing to go on
    with, and `DataError` where the images are not those that the run began with.
    """
    run = Run.reopen(folder)
    try:
        _check_unfinished(folder)
        plan, began = TrainingPlan.from_data(run.config["plan"]), run.config["data"]
        if data is None:
            data = _load(plan, began["source"], folder, began.get("pixel_range"))
        check_same(data, began)
        out, deadline = run.config.get("out"), run.config.get("deadline")
        return Trainer(
            plan, data, network=network, run=run, out=Path(out) if out else None, deadline=deadline,
            threads=threads, engine=engine,
            warnings=changes(run),
        )  # fmt: skip
    except BaseException:
        run.close()
        raise


def configuration(plan: TrainingPlan, data: Dataset, source: str, out: Path | None) -> dict[str, Any]:
    """What a new run's folder says: all that is needed to go on. `source` is where the data came from."""
    return {
        "command": shlex.join(sys.argv),
        "data": described(data, os.path.abspath(source) if os.path.exists(source) else source),
        "plan": plan.to_data(),
        "out": str(out.resolve()) if out else None,
    }


def described(data: Dataset, source: str) -> dict[str, object]:
    """What a run's folder says about its data, by which they are known again."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "source": source,
        "name": data.name,
        "fingerprint": data.fingerprint,
        "classes": list(data.classes),
        "images": {name: len(part) for name, part in parts.items() if part is not None},
        "shape": list(data.shape),
        "pixel_range": list(data.pixel_range) if data.pixel_range else None,
    }


def check_same(data: Dataset, began: dict[str, object]) -> None:
    """`DataError` unless `data` is what the run began with, as `described` then."""
    now = described(data, str(began["source"]))
    for key, text in {
        "classes": "its classes",
        "images": "the numbers of its images",
        "shape": "their size",
    }.items():
        if now[key] != began.get(key):
            raise DataError(
                f"{began['source']} has changed since the run began: {text} were {began.get(key)} and are {now[key]}; "
                "bring the old data back, or start a new run"
            )
    if now["fingerprint"] != began.get("fingerprint"):
        raise DataError(
            f"{began['source']} has changed since the run began: it has as many images, but not the same ones; "
            "bring the old data back, or start a new run"
        )


def changes(run: Run) -> list[str]:
    """A warning where what computes has changed since the run began, so that bits may differ."""
    before, now = run.config.get("made", {}), made_with()
    found = [
        f"{name} was {before.get(name, 'unknown')} and is {value}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    if not found:
        return []
    return [f"{', '.join(found)} since the run began: the result may differ in its last digits from an unbroken run's"]


def _load(plan: TrainingPlan, source: str, folder: Path, pixel_range: Sequence[float] | None) -> Dataset:
    if not source:
        raise UsageError(f"the run in {folder} was given its images by a program; only that can go on with it")
    if plan.pretrained:
        return load_data(source, preprocessing=preprocessing_of(plan.network, plan.size), pixel_range=pixel_range)
    return load_data(source, size=plan.size, pixel_range=pixel_range)


def _check_unfinished(folder: Path) -> None:
    last = ""
    for record in read_log(folder / LOG):
        last = str(record.get("event"))
    if last == "finished":
        raise UsageError(
            f"the run in {folder} is finished: its model is {folder / MODEL}; start a new run to train more"
        )
    if last == "diverged":
        raise UsageError(f"the run in {folder} diverged and would again; start a new one with a lower --learning-rate")
