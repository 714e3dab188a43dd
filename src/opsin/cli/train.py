"""`opsin train`: from pictures to a run's folder with a model in it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from opsin.cli.check import Line
from opsin.cli.output import INTERRUPTED, print_heading
from opsin.cli.progress import Bar, Lines, clock
from opsin.cli.sizes import parse_bytes
from opsin.cli.training import Options
from opsin.data import Dataset, load
from opsin.training import Event, Finished, Interrupted, Plan, Recipe, Run, Started, Training
from opsin.training.plan import balanced_weights
from opsin.training.resume import configuration, reopen
from opsin.training.run import RECEIPT

NETWORK = "lenet5"
BOARD = "opsin.training.tensorboard"


def run(options: Options) -> int:
    """Trains, shows how it goes, and says where the model is."""
    training = reopen(Path(options.resume), threads=options.threads) if options.resume else _begun(options)
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
    if options.tensorboard:
        import_module(BOARD)
    source = str(options.data)
    data = _load(source, options)
    plan = _plan(options, data)
    out = Path(options.out) if options.out else None
    training = Training(plan, data, out=out, threads=options.threads)
    config = configuration(plan, data, source, out) | {"checkpoint_minutes": options.checkpoint_minutes}
    made = training.run = Run.create(config, data.name, Path(options.run) if options.run else None)
    if data.receipt:
        made.write(f"{RECEIPT}.json", json.dumps(data.receipt.to_data(), indent=2, ensure_ascii=False) + "\n")
        made.write(f"{RECEIPT}.txt", data.receipt.text(full=True) + "\n")
    return training


def _load(source: str, options: Options) -> Dataset:
    """The data, with what was found in them where they are anybody's files."""
    shown = Line() if sys.stderr.isatty() else None
    data = load(source, cache_size=parse_bytes(options.cache_size), on_progress=shown)
    if shown:
        shown.clear()
    if data.receipt and os.path.exists(source):
        first, _, rest = data.receipt.text().partition(":")
        print_heading(first, f":{rest}\n")
    return data


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
    return closing(import_module(BOARD).TensorBoard(folder / "tensorboard"))


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
