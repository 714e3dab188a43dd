"""`opsin.train` and `opsin.runs.resume`: training as a function call."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from opsin import nn
from opsin.backends.native import compile as compile_native
from opsin.compiler.precision import Precision
from opsin.data import Dataset
from opsin.data import load as load_data
from opsin.ir.arguments import instance
from opsin.ir.checked import checked
from opsin.model import Engine, Model
from opsin.model.model_weights import ModelWeights
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import AUTO, TrainOptions
from opsin.planning.precision_choice import choose_precision
from opsin.runs.learning_curve import unfinished_curve
from opsin.runs.replay import REPLAY, check_folder
from opsin.runs.resume import configuration, reopen
from opsin.runs.run import Run
from opsin.training.create import AnyTrainer
from opsin.training.events import Event
from opsin.training.plan import TrainingPlan
from opsin.training.quantization import with_qat
from opsin.training.recipe import Recipe
from opsin.training.trainer import Trainer


@checked
def train(
    network: str | nn.Layer,
    data: Dataset | str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    seed: int = Recipe.seed,
    learning_rate: float | None = None,
    optimizer: str | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    schedule: str | None = None,
    precision: str = Precision.FLOAT32.value,
    qat: bool = False,
    threads: int | None = None,
    out: str | os.PathLike[str] | None = None,
    run: str | os.PathLike[str] | None = None,
    replay: bool = False,
    engine: Engine = compile_native,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """Train a network on `data` by Opsin's recipe and return the model.

    The same seed and data give bit-identical models.

    `network` is a name of the zoo ("lenet5") or a layer, `data` a dataset or what `opsin.data.load` takes. `weights` is
    a model file, or the folder of a run: training begins with the layers of this model, which has the same network, and
    the layers that belong to other labels are new. If `epochs`,
    `batch` or `learning_rate` are None, they follow from the network and the size of the data. `optimizer` is "gd",
    "sgd", "adam", "adamw", "adagrad" or "rmsprop", with `momentum` and `weight_decay`; `schedule` is "one_cycle",
    "cosine", "step" or "constant". With `precision` "bf16" the training steps store feature maps as bfloat16; the model
    is float32. "auto" takes bf16 if a short training in both shows that it is faster and as good, and float32
    otherwise. With `qat` (quantization-aware training) a tenth more epochs follow, which round as predictions in int8
    do. Without `threads` every core is used. `on_event` is called with every event.

    With `out` the model is saved there. With `run`, a new folder, checkpoints and a log are written there, and `resume`
    can continue the run; with `replay` it also gets small snapshots of the network while it learns, for `opsin see`
    (`opsin.runs.replay.ReplayFiles` reads them). Ctrl-C ends the training after the present step.

    If values become NaN or infinite, training returns to its last verified state and continues with a lower learning
    rate. The second time it raises `Diverged`, which holds that state's model. Raises `UsageError`, `DataError`,
    `ShapeError` or `ModelError` for arguments that cannot work, before training begins.
    """
    instance("the network", network, (str, nn.Layer), "a name of the zoo, such as 'lenet5', or a layer")
    check_folder(replay, run)
    recipe = Recipe(epochs, batch, learning_rate, seed)
    origin = None if weights is None else ModelWeights.open(os.fspath(weights))
    dataset = data if isinstance(data, Dataset) else load_data(data, None if origin is None else origin.preprocessing)
    name, layer = (network, None) if isinstance(network, str) else (type(network).__name__, network)
    plan = _plan(recipe, name, len(dataset.train), TrainOptions(
        epochs=epochs, batch=batch, learning_rate=learning_rate, optimizer=optimizer, momentum=momentum,
        weight_decay=weight_decay, schedule=schedule, precision=precision,
    ))  # fmt: skip
    if origin is not None:
        plan = replace(plan, weights=origin.for_images(*dataset.train.single().shape).for_task(dataset.task))
    if precision == AUTO:
        plan = choose_precision(plan, dataset, network=layer, threads=threads, engine=engine).applied(plan)
    plan = with_qat(plan) if qat else plan
    target = None if out is None else Path(out)
    trainer = Trainer(plan, dataset, network=layer, out=target, threads=threads, engine=engine)
    if run is not None:
        source = "" if isinstance(data, Dataset) else os.fspath(data)
        config = configuration(plan, dataset, source, target) | {REPLAY: replay}
        trainer.run = Run.create(config, dataset.name, Path(run))
    return _model(trainer, on_event)


def _plan(recipe: Recipe, name: str, images: int, options: TrainOptions) -> TrainingPlan:
    """Return the recipe's plan with `options`."""
    plan = replace(with_optimizer(recipe.plan(name, images), options, images), precision=options.planned_precision)
    if options.schedule is None:
        return plan
    return replace(plan, stages=tuple(replace(stage, schedule=options.schedule) for stage in plan.stages))


@checked
def resume(
    run: str | os.PathLike[str],
    *,
    data: Dataset | None = None,
    network: nn.Layer | None = None,
    threads: int | None = None,
    engine: Engine = compile_native,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """Continue the run in the folder `run`, however it ended; the result is that of an uninterrupted run, bit for bit.

    `data` and `network` are needed if the run was given its own. Raises `UsageError` if there is no run that can
    continue, and `DataError` if the images have changed.
    """
    if curve := unfinished_curve(Path(run), threads, engine):
        for event in curve:
            if on_event:
                on_event(event)
        return curve.model
    return _model(reopen(Path(run), data=data, network=network, threads=threads, engine=engine), on_event)


def _model(trainer: AnyTrainer, on_event: Callable[[Event], None] | None) -> Model:
    for event in trainer:
        if on_event:
            on_event(event)
    return trainer.model
