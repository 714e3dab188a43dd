"""Training as a function call."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from opsin import nn
from opsin.data import Dataset
from opsin.data import load as load_data
from opsin.backends.native import compile as compile_native
from opsin.ir.arguments import instance
from opsin.ir.checked import checked
from opsin.model import Engine, Model
from opsin.training.events import Event
from opsin.training.trainer import Trainer
from opsin.planning.optimization import with_optimizer
from opsin.training.plan import TrainingPlan
from opsin.training.recipe import Recipe
from opsin.runs.resume import configuration, reopen
from opsin.runs.run import Run
from opsin.planning.options import TrainOptions


@checked
def train(
    network: str | nn.Layer,
    data: Dataset | str | os.PathLike[str],
    *,
    epochs: int | None = None,
    batch: int | None = None,
    seed: int = Recipe.seed,
    learning_rate: float | None = None,
    optimizer: str | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    schedule: str | None = None,
    threads: int | None = None,
    out: str | os.PathLike[str] | None = None,
    run: str | os.PathLike[str] | None = None,
    engine: Engine = compile_native,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """A model of `data`, trained by Opsin's recipe; the same seed and data give the same bits.

    `network` is a name of the zoo ("lenet5") or a layer, `data` a dataset or what `opsin.data.load`
    takes; `epochs`, `batch` and `learning_rate` that are not given follow from the network and the data's size.
    `optimizer` is "gd", "sgd", "adam", "adamw", "adagrad" or "rmsprop", with `momentum` and `weight_decay`; `schedule`
    is "one_cycle", "cosine", "step" or "constant". Without `threads` every core works. Ctrl-C ends the training after
    the step it is in. Where numbers leave the
    finite, training goes back and on with a lower rate, once; then it raises `Diverged`. With `out` the model, or then
    the last good one, is saved there. With `run`, a new folder, checkpoints and a log are written there, and `resume`
    can go on with it.
    """
    instance("the network", network, (str, nn.Layer), "a name of the zoo, such as 'lenet5', or a layer")
    recipe = Recipe(epochs, batch, learning_rate, seed)
    dataset = data if isinstance(data, Dataset) else load_data(data)
    name, layer = (network, None) if isinstance(network, str) else (type(network).__name__, network)
    plan = _plan(recipe, name, len(dataset.train), TrainOptions(
        epochs=epochs, batch=batch, learning_rate=learning_rate, optimizer=optimizer, momentum=momentum,
        weight_decay=weight_decay, schedule=schedule,
    ))  # fmt: skip
    target = None if out is None else Path(out)
    training = Trainer(plan, dataset, network=layer, out=target, threads=threads, engine=engine)
    if run is not None:
        source = "" if isinstance(data, Dataset) else os.fspath(data)
        training.run = Run.create(configuration(plan, dataset, source, target), dataset.name, Path(run))
    return _model(training, on_event)


def _plan(recipe: Recipe, name: str, images: int, options: TrainOptions) -> TrainingPlan:
    """The recipe's plan with what was asked for."""
    plan = with_optimizer(recipe.plan(name, images), options, images)
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
    """Goes on with the run in the folder `run`, however it ended, to the bits of one that was never broken.

    `data` and `network` are needed where the run was given its own. Raises `UsageError` where there is nothing to go on
    with, and `DataError` where the images have changed.
    """
    return _model(reopen(Path(run), data=data, network=network, threads=threads, engine=engine), on_event)


def _model(training: Trainer, on_event: Callable[[Event], None] | None) -> Model:
    for event in training:
        if on_event:
            on_event(event)
    return training.model
