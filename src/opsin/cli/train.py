"""`opsin train`: from pictures to a model file."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from opsin.cli.output import INTERRUPTED, print_heading
from opsin.cli.progress import Bar, Lines, clock
from opsin.data import Dataset, load
from opsin.training import Event, Finished, Interrupted, Recipe, Started, Training


def run(
    data: str,
    network: str,
    epochs: int | None,
    batch: int,
    learning_rate: float,
    seed: int,
    threads: int | None,
    out: str | None,
) -> int:
    """Trains, shows how it goes, and says where the model is."""
    recipe = Recipe(epochs, batch, learning_rate, seed)
    dataset = load(data)
    target = Path(out) if out else Path(f"{dataset.name}.opsin")
    training = Training(recipe.plan(network, len(dataset.train)), dataset, threads=threads, out=target)
    last: Event | None = None
    with (Bar if sys.stdout.isatty() else Lines)() as display:
        for last in training:
            if isinstance(last, Started):
                _introduce(dataset, last)
            display(last)
    if isinstance(last, Interrupted) and not last.step:
        return INTERRUPTED
    _conclude(training, last, target)
    return 0


def _introduce(data: Dataset, start: Started) -> None:
    channels, height, width = data.shape
    print_heading(
        data.name,
        f": {start.pictures:,} pictures in {start.classes} classes, {start.held_out:,} more held out; "
        f"{height} × {width}, {'grey' if channels == 1 else 'colour'}",
    )
    print_heading(start.network, f": {start.parameters:,} parameters\n")


def _conclude(training: Training, last: Event | None, target: Path) -> None:
    typer.echo()
    if isinstance(last, Interrupted):
        typer.echo(f"Stopped in epoch {last.epoch}, after step {last.step:,}.")
    if isinstance(last, Finished):
        typer.echo(f"Trained in {clock(last.seconds)}, {last.pictures / last.seconds:,.0f} pictures/s.")
        print_heading(f"{last.test.accuracy:.2%}", f" of the {last.test.pictures:,} held-out pictures right.")
    print_heading(str(target), f" is the model, {target.stat().st_size / 1e3:,.0f} kB. Ask it what it sees:")
    typer.secho(f"  opsin predict {target} PICTURE", dim=True)
