"""Continuing a run that began earlier, from nothing but its folder."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.base.errors import DataError, UsageError
from opsin.data import Dataset
from opsin.data import load as load_data
from opsin.data.decode import Stretch
from opsin.data.sources.detect import ANY_TASK, TaskRequest
from opsin.inputs.registry import IMAGE
from opsin.model import Engine
from opsin.model.pretrained import preprocessing_of
from opsin.runs.log import last_event
from opsin.runs.run import MODEL, Run, made_with
from opsin.runs.unlabelled_data import UNLABELLED, load_both_again
from opsin.tasks.registry import CLASSIFICATION
from opsin.training.create import AnyTrainer, create_trainer
from opsin.training.events import DIVERGED, LOG_NAMES, Finished
from opsin.training.plan import TrainingPlan


def reopen(
    folder: Path,
    *,
    data: Dataset | None = None,
    network: nn.Layer | None = None,
    threads: int | None = None,
    engine: Engine = compile_native,
) -> AnyTrainer:
    """Return a trainer for the run in `folder`, at its last checkpoint.

    Raise `UsageError` if there is no run that can continue, and `DataError` if the images are not those that the run
    began with.
    """
    run = Run.reopen(folder)
    try:
        _check_unfinished(folder)
        plan, described = TrainingPlan.from_data(run.config["plan"]), run.config["data"]
        if data is None:
            data = load_again(plan, described, folder)
        check_same(data, described)
        out, deadline = run.config.get("out"), run.config.get("deadline")
        return create_trainer(
            plan, data, network=network, run=run, out=Path(out) if out else None, deadline=deadline,
            threads=threads, engine=engine, warnings=changes(run),
        )  # fmt: skip
    except BaseException:
        run.close()
        raise


def configuration(
    plan: TrainingPlan,
    data: Dataset,
    source: str,
    out: Path | None,
    request: TaskRequest = ANY_TASK,
    input_options: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return a new run's configuration, with all that resuming needs.

    `source` is where the data was loaded from, `request` the task that it was loaded for, and `input_options` how
    samples that are no images were read.
    """
    described = data_description(data, os.path.abspath(source) if os.path.exists(source) else source)
    return {
        "command": shlex.join(sys.argv),
        "data": described
        | {
            "task": data.task.name,
            "target": list(request.columns),
            "inputs": list(request.inputs),
            "input_options": dict(input_options),
        },
        "plan": plan.to_data(),
        "out": str(out.resolve()) if out else None,
    }


def data_description(data: Dataset, source: str) -> dict[str, object]:
    """Return what a run's folder says about its data, by which resuming recognizes them."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "source": source,
        "name": data.name,
        "fingerprint": data.fingerprint,
        "classes": list(data.classes),
        "images": {name: len(images) for name, images in splits.items() if images is not None},
        "shape": list(data.shape),
        "pixel_range": list(data.pixel_range) if data.pixel_range else None,
    }


def check_same(data: Dataset, described: dict[str, object]) -> None:
    """Raise `DataError` unless `data` is what the run began with, according to `data_description` at that time."""
    source, now = described["source"], data_description(data, str(described["source"]))
    for key, text in {"classes": "its classes", "images": "the numbers of its images", "shape": "their size"}.items():
        if now[key] != described.get(key):
            raise DataError(
                f"{source} has changed since the run began: {text} were {described.get(key)} and are {now[key]}; "
                "bring the old data back, or start a new run"
            )
    if now["fingerprint"] != described.get("fingerprint"):
        raise DataError(
            f"{source} has changed since the run began: it has as many images, but not the same ones; "
            "bring the old data back, or start a new run"
        )


def changes(run: Run) -> list[str]:
    """Return a warning if software or processor have changed since the run began, because results may then differ."""
    before, now = run.config.get("made", {}), made_with()
    differences = [
        f"{name} was {before.get(name, 'unknown')} and is {value}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    if not differences:
        return []
    text = "since the run began: the result may differ in its last digits from that of an uninterrupted run"
    return [f"{', '.join(differences)} {text}"]


def load_again(plan: TrainingPlan, described: Mapping[str, Any], folder: Path) -> Dataset:
    """Return the data that the run in `folder` has `described`. `UsageError` if a program gave it to the run."""
    source, pixel_range = described["source"], described.get("pixel_range")
    if not source:
        raise UsageError(f"a program gave the run in {folder} its images; only that program can continue it")
    if unlabelled := described.get(UNLABELLED):
        request = TaskRequest(unlabelled["task"], tuple(unlabelled["columns"]))
        return load_both_again(source, plan.size, request)
    task, target = described.get("task", CLASSIFICATION), described.get("target", ())
    is_published = plan.pretrained and zoo.kind(plan.network) == IMAGE
    preprocessing = preprocessing_of(plan.network, plan.size) if is_published else None
    if plan.weights:
        preprocessing = plan.weights.preprocessing
    elif preprocessing and task != CLASSIFICATION:
        preprocessing = replace(preprocessing, crop=Stretch())
    size = None if preprocessing else plan.size
    inputs = described.get("inputs", ())
    return load_data(
        source, preprocessing, size=size, pixel_range=pixel_range, task=task, target=target, inputs=inputs,
        input_options=described.get("input_options"),
    )  # fmt: skip


def _check_unfinished(folder: Path) -> None:
    last = last_event(folder)
    if last == LOG_NAMES[Finished]:
        raise UsageError(
            f"the run in {folder} is finished: its model is {folder / MODEL}; start a new run to train more"
        )
    if last == DIVERGED:
        raise UsageError(f"the run in {folder} diverged and would again; start a new one with a lower --learning-rate")
