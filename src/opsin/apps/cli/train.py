"""`opsin train`: from images to a run's folder with a model in it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing, nullcontext
from dataclasses import fields
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from opsin import report
from opsin.apps.cli.loading import read
from opsin.apps.cli.output import INTERRUPTED, PassingLine, print_error, print_heading, print_table
from opsin.apps.cli.progress import Bar, Lines, clock
from opsin.apps.cli.terminal import is_live
from opsin.apps.cli.train_options import Options
from opsin.apps.cli.units import parse_bytes, parse_seconds
from opsin.base.errors import OpsinError
from opsin.base.formatting import duration, size
from opsin.data import Dataset
from opsin.data.decode import check_range
from opsin.data.sources import open_source
from opsin.model.file import check_writable
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, NetworkChoice, TrainOptions
from opsin.planning.search import SearchResult, intention, search
from opsin.runs import Run
from opsin.runs.resume import configuration, reopen
from opsin.runs.run import RECEIPT, REPORT
from opsin.runs.tensorboard import TensorBoard, require_tensorboard
from opsin.training import Event, Finished, Interrupted, Started, Trainer


def run(options: Options) -> int:
    """Trains, shows how it goes, and says where the model is."""
    training = reopen(Path(options.resume), threads=options.threads) if options.resume else _begun(options)
    if training is None:
        return 0
    run = training.run if isinstance(training.run, Run) else None
    folder = run.folder if run else Path()
    board = _tensorboard(folder) if options.tensorboard or (folder / "tensorboard").is_dir() else nullcontext(None)
    last: Event | None = None
    with (Bar if is_live(sys.stdout) else Lines)() as display, board as curves:
        for last in training:
            if isinstance(last, Started):
                _introduce(training.data, last)
            display(last)
            if curves:
                curves(last)
    if isinstance(last, Interrupted) and not last.step:
        return INTERRUPTED
    _conclude(last, folder)
    if isinstance(last, Finished) and run and options.report:
        _report(training, run)
    target = training.saved or folder
    print_heading(str(target), f" is the model, {target.stat().st_size / 1e3:,.0f} kB. Ask it what it sees:")
    typer.secho(f"  opsin predict {target} IMAGE", dim=True)
    return 0


def _report(training: Trainer, made: Run) -> None:
    """The account of the model. Whatever happens to it, the model is safe already."""
    typer.echo()
    try:
        seconds = float(made.config.get("report_seconds", report.SECONDS))
        account = report.write(made.folder, training.model, training.data, seconds=seconds)
        for line in report.text(account):
            typer.echo(line)
        print_heading(f"\n{made.folder / REPORT}", " says more, with images.\n")
    except (OpsinError, OSError, MemoryError, ArithmeticError, ValueError) as error:
        print_error(f"the report could not be made ({error}); the model is complete without it")
    except KeyboardInterrupt:
        source = made.config["data"]["source"] or "DATA"
        print_error("the report was interrupted; the model is complete without it. To make it:")
        typer.secho(f"  opsin evaluate {made.model} {source} --report {made.report}", dim=True, err=True)


def _begun(options: Options) -> Trainer | None:
    """A new run; None where only its plan was asked for. What cannot work is refused before there is a folder."""
    begin = perf_counter()
    if options.tensorboard:
        require_tensorboard()
    out = Path(options.out) if options.out else None
    if out:
        check_writable(out)
    place = Path(options.run) if options.run else None
    if not options.plan_only:
        Run.check_place(place)
    source, wishes = str(options.data), _wishes(options)
    check_range(options.pixel_range)
    outline = networks.outline(DatasetSummary.of(open_source(source)), wishes)
    data = _load(source, outline, options)
    if options.plan_only:
        spent = perf_counter() - begin
        _explain(autoconfig.choose(outline, data, wishes, spent), intention(outline, data, wishes, spent))
        return None
    found = _search(source, outline, data, wishes, perf_counter() - begin, options)
    data = found.data
    choice = autoconfig.choose(
        found.outline, data, found.options, perf_counter() - begin, timed=True, useful=found.useful
    ).with_evidence(found.reasons, found.evidence)
    _explain(choice)
    training = Trainer(choice.plan, data, out=out, deadline=choice.deadline, threads=options.threads)
    config = configuration(choice.plan, data, source, out) | {
        "reasons": list(choice.reasons),
        "deadline": choice.deadline,
        "report_seconds": choice.expected.report,
        "checkpoint_minutes": options.checkpoint_minutes,
    }
    made = training.run = Run.create(config, data.name, place)
    if data.receipt:
        made.write(f"{RECEIPT}.json", json.dumps(data.receipt.to_data(), indent=2, ensure_ascii=False) + "\n")
        made.write(f"{RECEIPT}.txt", data.receipt.text(full=True) + "\n")
    return training


def _wishes(options: Options) -> TrainOptions:
    names = {field.name for field in fields(TrainOptions)} - {"budget", "memory"}
    return TrainOptions(
        **{name: getattr(options, name) for name in names},
        budget=parse_seconds(options.budget) if options.budget else None,
        memory=parse_bytes(options.memory) if options.memory else None,
    )


def _load(source: str, outline: NetworkChoice, options: Options) -> Dataset:
    """The data, with what was found in them where they are anybody's files."""
    data = read(source, outline, options.cache_size, options.pixel_range)
    if data.receipt and os.path.exists(source):
        first, _, rest = data.receipt.text().partition(":")
        print_heading(first, f":{rest}\n")
    return data


def _search(
    source: str, outline: NetworkChoice, data: Dataset, wishes: TrainOptions, spent: float, options: Options
) -> SearchResult:
    """The recipe that learns best in short trials."""

    def load(other: NetworkChoice) -> Dataset:
        return read(source, other, options.cache_size, options.pixel_range)

    with PassingLine() as line:
        found = search(outline, data, wishes, spent, load, line.show)
    if found.evidence:
        print_heading("Trials")
        heads = ("recipe", "seconds", "validation error", "predicted")
        rows = [
            (str(each["recipe"]), f"{each['seconds']:.1f}", f"{each['error']:.2%}",
             f"{each['predicted_error']:.2%}" if "predicted_error" in each else "")
            for each in found.evidence
        ]  # fmt: skip
        print_table(heads, rows, left=(0,))
        typer.echo()
    return found


def _explain(choice: AutoPlan, intention: str = "") -> None:
    """What was chosen, and why, and what it will take."""
    print_heading("Plan")
    if intention:
        typer.echo(f"  - {intention}; the best is trained. Without them:")
    for reason in choice.reasons:
        typer.echo(f"  - {reason}")
    expected = choice.expected
    took = f"{duration(expected.seconds)} of training, then {duration(expected.report)} at most for the report"
    typer.echo(f"  Expected on this machine, by measurement: {took}; {size(expected.bytes)} of memory.\n")


def _tensorboard(folder: Path) -> Any:
    """A context that gives what takes events; the package for it is loaded only here."""
    return closing(TensorBoard(folder / "tensorboard"))


def _introduce(data: Dataset, start: Started) -> None:
    channels, height, width = data.shape
    more = (
        f"{start.held_out:,} for validation, {start.test:,} to test" if data.validation else f"{start.test:,} held out"
    )
    print_heading(
        data.name,
        f": {start.images:,} images in {start.classes} classes to learn from, {more}; "
        f"{height} × {width}, {'grey' if channels == 1 else 'colour'}",
    )
    print_heading(start.network, f": {start.parameters:,} parameters")
    if start.done:
        typer.echo(f"Going on after step {start.done:,}.")
    typer.echo()


def _conclude(last: Event | None, folder: Path) -> None:
    typer.echo()
    if isinstance(last, Interrupted):
        typer.echo(f"Stopped in epoch {last.epoch}, after step {last.step:,}. To go on:")
        typer.secho(f"  opsin train --resume {folder}", dim=True)
    if isinstance(last, Finished):
        typer.echo(f"Trained in {clock(last.seconds)}, {last.images / max(last.seconds, 1e-9):,.0f} images/s.")
        print_heading(f"{last.test.accuracy:.2%}", f" of the {last.test.images:,} test images right.")
