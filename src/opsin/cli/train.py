"""`opsin train`: from pictures to a run's folder with a model in it."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import closing, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from opsin.cli.output import INTERRUPTED, print_heading
from opsin.cli.progress import Bar, Lines, clock
from opsin.cli.training import Options
from opsin.data import Dataset, load
from opsin.training import Event, Finished, Interrupted, Plan, Recipe, Run, Started, Training
from opsin.training.plan import balanced_weights
from opsin.training.resume import described, reopen

NETWORK = "lenet5"


def run(options: Options) -> int:
    """Trains, shows how it goes, and says where the model is."""
    training = _resumed(options) if options.resume else _begun(options)
    folder = training.run.folder if training.run else Path()
    board = _tensorboard(folder) if options.tensorboard or (folder / "tensorboard").is_dir() else nullcontext(None)
    last: Event | None = None
    with (Bar if sys.stdout.isatty() else Lines)() as display, board as curves:
        for last in training:
            if isinstance(last, Started):
                _introduce(training.data, last)
            display(last)
            if curves:
                curves(last)
    if isinstance(last, Interrupted) and not last.step:
        return INTERRUPTED
    _conclude(training, last, folder)
    return 0


def _begun(options: Options) -> Training:
    """A new run. What cannot work is refused before there is a folder."""
    source = str(options.data)
    data = load(source)
    plan = _plan(options, data)
    out = Path(options.out) if options.out else None
    training = Training(plan, data, out=out, threads=options.threads)
    config = {
        "command": shlex.join(["opsin", *sys.argv[1:]]),
        "data": described(data, os.path.abspath(source) if os.path.exists(source) else source),
        "plan": plan.to_data(),
        "out": str(out.resolve()) if out else None,
        "checkpoint_minutes": options.checkpoint_minutes,
    }
    training.run = Run.create(config, data.name, Path(options.run) if options.run else None)
    return training


def _resumed(options: Options) -> Training:
    return reopen(Path(str(options.resume)), lambda plan, source: load(source), threads=options.threads)


def _plan(options: Options, data: Dataset) -> Plan:
    """The recipe, with what the options say."""
    recipe = Recipe(
        options.epochs, options.batch or Recipe.batch, _or(options.learning_rate, Recipe.learning_rate), options.seed
    )
    plan = recipe.plan(options.network or NETWORK, len(data.train))
    stages = tuple(replace(stage, augment=options.augment or stage.augment) for stage in plan.stages)
    weights = balanced_weights(data.train.counts()) if options.class_weights else plan.class_weights
    return replace(
        plan, stages=stages, ema=_or(options.ema, plan.ema), smoothing=_or(options.smoothing, plan.smoothing),
        class_weights=weights, patience=options.patience or plan.patience,
    )  # fmt: skip


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def _tensorboard(folder: Path) -> Any:
    """A context that gives what takes events; the package for it is loaded only here."""
    return closing(import_module("opsin.training.tensorboard").TensorBoard(folder / "tensorboard"))


def _introduce(data: Dataset, start: Started) -> None:
    channels, height, width = data.shape
    more = (
        f"{start.held_out:,} for validation, {start.test:,} to test" if data.validation else f"{start.test:,} held out"
    )
    print_heading(
        data.name,
        f": {start.pictures:,} pictures in {start.classes} classes to learn from, {more}; "
        f"{height} × {width}, {'grey' if channels == 1 else 'colour'}",
    )
    print_heading(start.network, f": {start.parameters:,} parameters")
    if start.done:
        typer.echo(f"Going on after step {start.done:,}.")
    typer.echo()


def _conclude(training: Training, last: Event | None, folder: Path) -> None:
    typer.echo()
    target = training.saved or folder
    if isinstance(last, Interrupted):
        typer.echo(f"Stopped in epoch {last.epoch}, after step {last.step:,}. To go on:")
        typer.secho(f"  opsin train --resume {folder}", dim=True)
    if isinstance(last, Finished):
        typer.echo(f"Trained in {clock(last.seconds)}, {last.pictures / max(last.seconds, 1e-9):,.0f} pictures/s.")
        print_heading(f"{last.test.accuracy:.2%}", f" of the {last.test.pictures:,} test pictures right.")
    print_heading(str(target), f" is the model, {target.stat().st_size / 1e3:,.0f} kB. Ask it what it sees:")
    typer.secho(f"  opsin predict {target} PICTURE", dim=True)
