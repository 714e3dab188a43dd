"""`opsin.autotrain`: the command `opsin train` as a function call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter
from typing import Any

from opsin.base.units import parse_seconds
from opsin.compiler.precision import Precision
from opsin.data import Dataset
from opsin.data.load import load_opened
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.ir.checked import checked
from opsin.model import Model
from opsin.model.file import check_writable
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, NetworkChoice, TrainOptions
from opsin.planning.search import search
from opsin.runs.learning_curve import CurveRun, measures_curve
from opsin.runs.pretraining import Pretraining, plan_pretraining, reason_against, with_features
from opsin.runs.replay import REPLAY, check_folder
from opsin.runs.resume import configuration
from opsin.runs.run import Run
from opsin.runs.unlabelled_data import unlabelled_images
from opsin.training.create import create_trainer
from opsin.training.events import Event, Finished, Interrupted
from opsin.training.learning_curve import KEY
from opsin.training.trainer import Trainer


@checked
def autotrain(
    source: str | os.PathLike[str],
    *,
    task: str | None = None,
    target: str | Sequence[str] | None = None,
    inputs: str | Sequence[str] | None = None,
    budget: float | str | None = None,
    network: str | None = None,
    size: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    loss: str | None = None,
    input_options: Mapping[str, Any] | None = None,
    learning_curve: bool = False,
    precision: str = Precision.FLOAT32.value,
    qat: bool = False,
    seed: int = 0,
    threads: int | None = None,
    out: str | os.PathLike[str] | None = None,
    run: str | os.PathLike[str] | None = None,
    replay: bool = False,
    on_plan: Callable[[AutoPlan], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """Train a network on the images at `source`, choose everything that is not given, and return the model.

    `source` is what `opsin.data.load` takes, and so are `task`, `target` and `inputs`. Network, image size, recipe and
    number of epochs follow from the data and from the time: `budget` is in seconds, or a text such as "15min" (default
    10 min). With a number of `epochs` and no budget, the result depends on the data, the options and the seed alone,
    unless the precision is "auto".

    If there is a folder `unlabelled` with at least 32 images next to those of classes, features are learned from it
    first (see `runs.pretraining`), in a run of its own whose folder ends in "-unlabelled"; `on_plan` is called for each
    of the two.

    With `weights`, a model file or the folder of a run, training begins with that model's layers; those that belong to
    other labels are new.

    With `precision` "bf16" the training steps store feature maps as bfloat16, and with "auto" if a short training
    shows that this is faster and as good.

    `loss` names one, for tasks that have several.

    `input_options` say how recordings, texts and signals are read, such as {"rate": 8000, "seconds": 2}.

    With `qat` (quantization-aware training) the last epochs round as predictions in int8 do; the plan says how long
    that takes.

    With `learning_curve`, a plan for annotated images is trained twice more, on a quarter and on half of them, each
    time for as long: the model's record then says what twice as many images would probably bring, and so does a report
    on it. The budget is for all three trainings.

    With `out` the model is saved there; with `run`, a new folder gets checkpoints and a log, and `opsin.runs.resume`
    can continue it; with `replay` it also gets small snapshots of the network while it learns (see
    `opsin.runs.replay`). `on_plan` is called with the plan and its reasons, `on_event` with every event. Raises
    `UsageError`, `DataError` or `ModelError` for arguments that cannot work, before training begins.
    """
    begin = perf_counter()
    check_folder(replay, run)
    options = TrainOptions(
        network=network, size=size, budget=parse_seconds(budget) if isinstance(budget, str) else budget,
        epochs=epochs, seed=seed, threads=threads, loss=loss, learning_curve=learning_curve,
        precision=precision, qat=qat, weights=None if weights is None else os.fspath(weights),
        input_options=input_options,
    )  # fmt: skip
    target_file = None if out is None else Path(out)
    if target_file:
        check_writable(target_file)
    columns, names = ((each,) if isinstance(each, str) else tuple(each or ()) for each in (target, inputs))
    request = TaskRequest(task, columns, names)
    opened = open_source(source, None, request)
    choice = networks.choose_network(DatasetSummary.of(opened), options)
    unlabelled = unlabelled_images(opened)
    if unlabelled and reason_against(choice, options) is None:
        planned = plan_pretraining(unlabelled, opened, os.fspath(source), options, 0.0)
        options = with_features(options, _pretrained(planned, request, options.threads, run, on_plan, on_event))
        choice = networks.choose_network(DatasetSummary.of(opened), options)

    def load_for(other: NetworkChoice) -> Dataset:
        side = None if other.preprocessing else other.size
        return load_opened(opened, source, other.preprocessing, size=side, input_options=other.input_options)

    data = load_for(choice)
    result = search(choice, data, options, perf_counter() - begin, load_for, lambda text: None)
    plan = autoconfig.choose(
        result.choice, result.data, result.options, perf_counter() - begin, tune_convs=True,
        useful_seconds=result.useful_seconds,
    ).with_evidence(result.reasons, result.evidence)  # fmt: skip
    if on_plan:
        on_plan(plan)
    trainer = create_trainer(plan.plan, result.data, out=target_file, deadline=plan.deadline, threads=threads)
    if run is not None:
        described = configuration(plan.plan, result.data, os.fspath(source), target_file, request, choice.input_options)
        described |= {"deadline": plan.deadline, KEY: measures_curve(options, result.data), REPLAY: replay}
        trainer.run = Run.create(described, result.data.name, Path(run))
    last: Event | None = None
    for last in trainer:
        if on_event:
            on_event(last)
    if isinstance(last, Finished) and isinstance(trainer, Trainer) and measures_curve(options, result.data):
        for event in CurveRun.of(trainer, plan.deadline):
            if on_event:
                on_event(event)
    return trainer.model


def _pretrained(
    pretraining: Pretraining,
    request: TaskRequest,
    threads: int | None,
    run: str | os.PathLike[str] | None,
    on_plan: Callable[[AutoPlan], None] | None,
    on_event: Callable[[Event], None] | None,
) -> Path:
    """Learn without labels, and return the path of the model with the features.

    Without a run, it is in the system's folder for temporary files.
    """
    if on_plan:
        on_plan(pretraining.plan)
    place = Path(mkdtemp(prefix="opsin-")) / "features" if run is None else Path(f"{os.fspath(run)}-unlabelled")
    trainer = pretraining.run(place, threads, request)
    for event in trainer:
        if on_event:
            on_event(event)
        if isinstance(event, Interrupted):
            raise KeyboardInterrupt
    return trainer.saved_path or Path()
