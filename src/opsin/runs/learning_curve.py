"""Measuring the learning curve of a run: its plan is trained again on a quarter and on half of the images.

All trainings have the same plan, and therefore as many steps: each epoch shows the images of a subset twice or four
times, augmented differently. What the curve shows is thus due to the images alone. With as many epochs, a subset would
get fewer steps, and a network that needs more training would seem to need more images.

The subsets are nested, so that they differ as little as possible, and stratified. Frames of a film are subsets in the
order of time: every fourth frame of a film shows nearly as much as all of them.

    RUN/learning_curve.json     the points that are measured so far
    RUN/learning-curve/         the run on a subset, with checkpoints; it is removed once its point is measured
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.native import compile as compile_native
from opsin.base import random_counter
from opsin.base.atomic import atomic_write
from opsin.base.errors import TrainingError
from opsin.data import Dataset, Samples
from opsin.model import Engine, Model
from opsin.model import load as load_model
from opsin.model.record import measured_images
from opsin.planning.options import TrainOptions
from opsin.runs.log import last_event
from opsin.runs.resume import check_same, load_again
from opsin.runs.run import CONFIG, MODEL, Run, read_config
from opsin.tasks.registry import is_annotated
from opsin.training.events import LOG_NAMES, Event, Finished, Interrupted, SubsetStarted, Warning
from opsin.training.learning_curve import KEY, SUBSETS, CurvePoint, DataCurve, point_from_data
from opsin.training.non_finite import Diverged
from opsin.training.plan import TrainingPlan
from opsin.training.saving import save_model
from opsin.training.trainer import Trainer

POINTS, SUBSET_RUN = "learning_curve.json", "learning-curve"

SUBSET_ORDER, GROUP_ORDER = 107, 108
"""Purposes of random numbers (see `opsin.base.random_counter`)."""

GROUPS = 10
"""Groups of measured images for the jackknife."""

IMAGES_PER_REDUCTION = 16
"""Images whose outputs are in memory at the same time."""

MIN_IMAGES = 4 * len(SUBSETS)
"""With fewer training images, there is no curve."""


class CurveRun:
    """Measures the learning curve of a finished `model` that was trained on `data`; iterating over it yields events.

    At the end the curve is in the model's record, and the model is saved again under all `paths`. `interrupted` says
    that Ctrl-C ended it before. With a `folder`, that of the run, a later `CurveRun` continues there. Each training
    takes at most `deadline` seconds.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        *,
        folder: Path | None = None,
        paths: Sequence[Path] = (),
        deadline: float | None = None,
        threads: int | None = None,
        engine: Engine = compile_native,
    ) -> None:
        self.model, self.folder, self.paths = model, folder, tuple(paths)
        self.data = data.stacked(model.preprocessing.frames)  # before images are left out, or occur several times
        self.deadline, self.threads, self.engine = deadline, threads, engine
        self.interrupted = False

    @classmethod
    def of(cls, trainer: Trainer, deadline: float | None) -> CurveRun:
        """Return the learning curve of a finished trainer, whose deadline was `deadline` seconds."""
        context, folder = trainer.context, trainer.run.folder if isinstance(trainer.run, Run) else None
        paths = saved_paths(folder, trainer.out)
        return cls(
            trainer.model, trainer.data, folder=folder, paths=paths, deadline=deadline, threads=context.threads,
            engine=context.engine,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Event]:
        if len(self.data.train) < MIN_IMAGES:
            yield Warning(f"a learning curve needs at least {MIN_IMAGES} training images, not {len(self.data.train)}")
            return
        points = self._measured_points()
        for share, _ in SUBSETS[len(points) :]:
            try:
                point = yield from self._point(share)
            except Diverged as error:
                yield Warning(f"there is no learning curve, because training on a part of the images failed: {error}")
                return
            if point is None:
                self.interrupted = True
                return
            points.append(point)
            self._keep(points)
        points.append(measure(self.model, measured_images(self.data), len(self.data.train)))
        curve = DataCurve(self.data.task.metric(False), len(measured_images(self.data)), tuple(points))
        self.model.record = {**self.model.record, KEY: curve.to_data()}
        for path in self.paths:
            save_model(self.model, path)

    def _point(self, share: float) -> Generator[Event, None, CurvePoint | None]:
        """Train on this share of the images; return the result, or None if Ctrl-C ended the training."""
        rows = subset(self.data.train, share)
        yield SubsetStarted(len(rows), len(self.data.train))
        trainer = self._trainer(rows)
        for event in trainer:
            yield event
            if isinstance(event, Interrupted):
                return None
        return measure(trainer.model, measured_images(self.data), len(rows))

    def _trainer(self, rows: NDArray[np.intp]) -> Trainer:
        """Return the trainer on a subset, which continues an interrupted one."""
        plan = actual_plan(self.model.record)
        data = replace(self.data, train=self.data.train.take(np.resize(rows, len(self.data.train))))
        folder = self.folder / SUBSET_RUN if self.folder else None
        run = Run.reopen(folder) if folder and (folder / CONFIG).is_file() else None
        trainer = Trainer(plan, data, run=run, deadline=self.deadline, threads=self.threads, engine=self.engine)
        if folder and run is None:
            shutil.rmtree(folder, ignore_errors=True)
            trainer.run = Run.create({"plan": plan.to_data(), "data": {"images": len(rows)}}, self.data.name, folder)
        return trainer

    def _measured_points(self) -> list[CurvePoint]:
        """Return the points that an earlier process measured."""
        if self.folder is None:
            return []
        try:
            return [point_from_data(point) for point in json.loads((self.folder / POINTS).read_text("utf-8"))]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _keep(self, points: list[CurvePoint]) -> None:
        """Write the points, and remove the run that the last one comes from."""
        if self.folder is None:
            return
        try:
            atomic_write(self.folder / POINTS, json.dumps([asdict(point) for point in points], indent=1) + "\n")
        except OSError as error:
            raise TrainingError(f"{self.folder / POINTS} cannot be written: {error.strerror}") from None
        shutil.rmtree(self.folder / SUBSET_RUN, ignore_errors=True)


def unfinished_curve(folder: Path, threads: int | None = None, engine: Engine = compile_native) -> CurveRun | None:
    """Return the learning curve that the run in `folder` still lacks; None if it asks for none, or still trains.

    Raise `UsageError` or `DataError` if there is no run, or its images have changed.
    """
    config = read_config(folder)
    if not config.get(KEY) or last_event(folder) != LOG_NAMES[Finished] or not (folder / MODEL).is_file():
        return None
    model = load_model(folder / MODEL, engine, threads)
    if KEY in model.record:
        return None
    data = load_again(TrainingPlan.from_data(config["plan"]), config["data"], folder)
    check_same(data, config["data"])
    paths = saved_paths(folder, Path(config["out"]) if config.get("out") else None)
    return CurveRun(
        model, data, folder=folder, paths=paths, deadline=config.get("deadline"), threads=threads, engine=engine
    )


def saved_paths(folder: Path | None, out: Path | None) -> list[Path]:
    """Return the files that a run saves its model in, in the order of `Trainer`."""
    return ([folder / MODEL] if folder else []) + ([out] if out else [])


def measures_curve(options: TrainOptions, data: Dataset) -> bool:
    """Return whether parts of the images are to be trained on; the report on classes has its own curve, of features."""
    return options.learning_curve and is_annotated(data.task)


def actual_plan(record: Mapping[str, Any]) -> TrainingPlan:
    """Return the plan of a model's training record, with as many epochs as the time allowed.

    If training ended early because validation did not improve, the plan stays as it is, with its patience.
    """
    plan, history = TrainingPlan.from_data(record["plan"]), record["history"]
    last = plan.stages[-1]
    values = [
        epoch[f"held_out_{metric}"] for epoch in history if epoch["stage"] == last.name for metric in _main(epoch)
    ]
    ended_early = plan.patience is not None and len(values) - 1 - int(np.argmax(values)) >= plan.patience
    epochs = last.epochs if ended_early else max(1, len(values))
    return replace(plan, stages=(*plan.stages[:-1], replace(last, epochs=epochs)))


def _main(epoch: Mapping[str, Any]) -> list[str]:
    """Return the name of the main metric of an epoch in a record, in a list."""
    names = [name.removeprefix("held_out_") for name in epoch if name.startswith("held_out_")]
    return [name for name in names if name != "loss"][:1]


def subset(images: Samples, share: float) -> NDArray[np.intp]:
    """Return the numbers of about this share of the images; a smaller share gives a part of them.

    Every group of the targets has the same share. Of a film these are the first frames.
    """
    count = max(1, round(share * len(images)))
    positions = getattr(images.targets, "positions", None)
    if positions is not None:
        return np.argsort(positions, kind="stable")[:count]
    order, strata = random_counter.order(len(images), 0, SUBSET_ORDER), images.targets.strata()
    share_before = np.empty(len(images))
    for group in np.unique(strata):
        members = order[strata[order] == group]
        share_before[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(share_before[order], kind="stable")][:count]


def measure(model: Model, images: Samples, trained_on: int) -> CurvePoint:
    """Return the point of a model that was trained on so many images, measured on `images`."""
    order, task = random_counter.order(len(images), 0, GROUP_ORDER), model.task
    groups = [_reduced(model, images, rows) for rows in np.array_split(order, min(GROUPS, len(images)))]

    def value(parts: Sequence[list[Any]]) -> float:
        return float(task.evaluate([result for part in parts for result in part], model.calibration).score.value)

    without = [value([*groups[:number], *groups[number + 1 :]]) for number in range(len(groups)) if len(groups) > 1]
    return CurvePoint(trained_on, value(groups), tuple(without))


def _reduced(model: Model, images: Samples, rows: NDArray[np.intp]) -> list[Any]:
    """Return what scoring needs of the images with these numbers."""
    results = []
    for first in range(0, len(rows), IMAGES_PER_REDUCTION):
        part = images.take(rows[first : first + IMAGES_PER_REDUCTION])
        targets = model.task.align(part.task, part.targets)
        results.append(model.task.reduce(model.outputs(part.pixels), targets))
    return results
