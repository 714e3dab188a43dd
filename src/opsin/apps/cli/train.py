"""`opsin train`: from images to a run folder with a model in it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing, nullcontext
from dataclasses import fields
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from opsin import report
from opsin.apps.cli.arguments.train import CommandOptions
from opsin.apps.cli.load_data import load_for, task_request
from opsin.apps.cli.output import INTERRUPTED, StatusLine, print_error, print_heading, print_table
from opsin.apps.cli.progress import Bar, Lines, clock
from opsin.apps.cli.terminal import is_live
from opsin.base.errors import OpsinError, UsageError
from opsin.base.formatting import duration, percent, size
from opsin.data import Dataset
from opsin.data.decode import check_range
from opsin.data.items import Source
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.inputs import InputKind
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.inspection.run_page import write_run_page
from opsin.model import Model
from opsin.model.file import check_writable
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, NetworkChoice, TrainOptions
from opsin.planning.search import SearchResult, describe_search, search
from opsin.report.kinds import AnyReport
from opsin.report.more_images import curve_text
from opsin.runs import Run
from opsin.runs.learning_curve import CurveRun, measures_curve, unfinished_curve
from opsin.runs.pretraining import (
    Pretraining,
    plan_pretraining,
    reason_against,
    with_features,
)
from opsin.runs.replay import REPLAY
from opsin.runs.resume import configuration, reopen
from opsin.runs.run import MODEL, RECEIPT, REPORT, read_config
from opsin.runs.tensorboard import TensorBoard, require_tensorboard
from opsin.runs.unlabelled_data import UNLABELLED, unlabelled_images
from opsin.tasks.score import ACCURACY, Score
from opsin.training import Event, Finished, Interrupted, Started, Trainer
from opsin.training.create import AnyTrainer, create_trainer
from opsin.training.few_shot_trainer import FEW_SHOT
from opsin.training.learning_curve import KEY, TRAININGS, DataCurve


def run(source: str | None, options: CommandOptions) -> int:
    """Train, show the progress, and print where the model is. `source` is None if a run is resumed."""
    if options.resume and (curve := unfinished_curve(Path(options.resume), options.threads)):
        _finish_curve(curve, Path(options.resume), options.report)
        return _print_model(Path(curve.model.name))
    trainer = reopen(Path(options.resume), threads=options.threads) if options.resume else _start(str(source), options)
    if trainer is None:
        return 0
    run = trainer.run if isinstance(trainer.run, Run) else None
    folder = run.folder if run else Path()
    board = _tensorboard(folder) if options.tensorboard or (folder / "tensorboard").is_dir() else nullcontext(None)
    last: Event | None = None
    many = NOUNS[trainer.data.train.kind][1]
    with (Bar if is_live(sys.stdout) else Lines)(many) as display, board as curves:
        for last in trainer:
            if isinstance(last, Started):
                _print_start(trainer.data, last)
            display(last)
            if curves:
                curves(last)
    if isinstance(last, Interrupted) and not last.step:
        return INTERRUPTED
    _print_end(last, folder, many)
    if FEW_SHOT in trainer.model.record:
        _print_left_out(trainer.model)
    if isinstance(last, Finished) and run:
        if UNLABELLED in run.config["data"]:
            source = str(run.config["data"]["source"])
            _print_next("The features are learned. To train on labels with them:", source, run.model)
            return 0
        if run.config.get(KEY) and isinstance(trainer, Trainer):
            _finish_curve(CurveRun.of(trainer, run.config.get("deadline")), folder, options.report)
        elif options.report and (FEW_SHOT not in trainer.model.record or trainer.data.test or trainer.history):
            _report(folder, trainer.model, trainer.data)
    return _print_model(trainer.saved_path or folder, _argument(trainer.data.input))


def _argument(input: InputKind | None) -> str:
    """Return what `opsin predict` takes besides the model: a file, or the values of a row."""
    names = getattr(input, "names", ())
    return " ".join(f"{name}=…" for name in names) or NOUNS[IMAGE if input is None else input.kind][0].upper()


def _print_model(model: Path, argument: str = NOUNS[IMAGE][0].upper()) -> int:
    """Print where the model is and how to use it, and return the exit status."""
    print_heading(str(model), f" is the model, {model.stat().st_size / 1e3:,.0f} kB. To use it:")
    typer.secho(f"  opsin predict {model} {argument}", dim=True)
    return 0


def _finish_curve(curve: CurveRun, folder: Path, has_report: bool) -> None:
    """Measure the learning curve, and then write the report. The model is already saved."""
    typer.echo()
    try:
        with (Bar if is_live(sys.stdout) else Lines)() as display:
            for event in curve:
                display(event)
    except KeyboardInterrupt:
        curve.interrupted = True
    except (OpsinError, OSError, MemoryError, ArithmeticError, ValueError) as error:
        print_error(f"the learning curve could not be measured ({error}); the model is complete without it")
    if curve.interrupted:
        typer.echo("\nThe learning curve was stopped; the model is complete without it. To continue, with the report:")
        typer.secho(f"  opsin train --resume {folder}", dim=True)
    elif has_report:
        _report(folder, curve.model, curve.data)
    elif measured := DataCurve.from_data(curve.model.record.get(KEY, {})):
        typer.echo(f"\n{curve_text(measured, is_constant=False)}\n")


def _see(folder: Path, model: Model, data: Dataset, measured: AnyReport) -> str:
    """Write the page that the report links to, and return its name. Without it, the report is complete all the same."""
    try:
        return write_run_page(folder, model, data, measured)
    except (OpsinError, OSError, MemoryError) as error:
        print_error(f"the page of --see could not be written ({error}); the report is complete without it")
        return ""


def _report(folder: Path, model: Model, data: Dataset) -> None:
    """Write the report and print its summary. If that fails, the model is already saved."""
    config = read_config(folder)
    typer.echo()
    try:
        seconds = float(config.get("report_seconds", report.SECONDS))
        see = partial(_see, folder, model, data) if config.get("see") else lambda measured: ""
        model_report = report.write(folder, model, data, seconds=seconds, see=see)
        for line in report.text(model_report):
            typer.echo(line)
        print_heading(f"\n{folder / REPORT}", f" is the full report, with {NOUNS[data.train.kind][1]}.\n")
        if model_report.see:
            print_heading(str(folder / model_report.see), " shows the network at work.\n")
    except (OpsinError, OSError, MemoryError, ArithmeticError, ValueError) as error:
        print_error(f"the report could not be written ({error}); the model is complete without it")
    except KeyboardInterrupt:
        source = config["data"]["source"] or "DATA"
        print_error("the report was interrupted; the model is complete without it. To write it:")
        typer.secho(f"  opsin evaluate {folder / MODEL} {source} --report {folder / REPORT}", dim=True, err=True)


def _start(source: str, options: CommandOptions) -> AnyTrainer | None:
    """Plan and create a new run; with --dry-run, print the plan and return None.

    Raise `OpsinError` for anything that cannot work, before there is a folder.
    """
    begin = perf_counter()
    if options.tensorboard:
        require_tensorboard()
    if options.see and not options.report:
        raise UsageError("--see shows what the report finds; leave out --no-report")
    out = Path(options.out) if options.out else None
    if out:
        check_writable(out)
    folder = Path(options.run) if options.run else None
    if not options.dry_run:
        Run.check_folder(folder)
    requested = TrainOptions(**{each.name: getattr(options, each.name) for each in fields(TrainOptions)})
    request = task_request(options.task, options.target, options.inputs)
    opened = open_source(source, check_range(options.pixel_range), request)
    choice = networks.choose_network(DatasetSummary.of(opened), requested)
    if pretraining := _pretraining(opened, source, choice, requested, perf_counter() - begin):
        _print_plan(pretraining.plan, has_curve=False)
        if options.dry_run:
            return None
        requested = with_features(requested, _pretrain(pretraining, request, source, options))
        choice = networks.choose_network(DatasetSummary.of(opened), requested)
    data = _load(opened, source, choice, options)
    if options.dry_run:
        elapsed_seconds = perf_counter() - begin
        plan = autoconfig.choose(choice, data, requested, elapsed_seconds)
        _print_plan(plan, measures_curve(requested, data), describe_search(choice, data, requested, elapsed_seconds))
        return None
    result = _search(opened, source, choice, data, requested, perf_counter() - begin, options)
    plan = autoconfig.choose(
        result.choice,
        result.data,
        result.options,
        perf_counter() - begin,
        tune_convs=True,
        useful_seconds=result.useful_seconds,
    ).with_evidence(result.reasons, result.evidence)
    _print_plan(plan, measures_curve(requested, result.data))
    trainer = create_trainer(plan.plan, result.data, out=out, deadline=plan.deadline, threads=options.threads)
    config = configuration(plan.plan, result.data, source, out, request, choice.input_options) | {
        "reasons": list(plan.reasons),
        "deadline": plan.deadline,
        "report_seconds": plan.expected.report,
        "checkpoint_minutes": options.checkpoint_minutes,
        REPLAY: options.replay,
        "see": options.see,
        KEY: measures_curve(requested, result.data),
    }
    trainer.run = _create_run(config, result.data, folder)
    return trainer


def _pretraining(
    opened: Source | Dataset, source: str, choice: NetworkChoice, requested: TrainOptions, elapsed_seconds: float
) -> Pretraining | None:
    """Return the training without labels that comes first, if there are images for it and it helps."""
    unlabelled = unlabelled_images(opened)
    if unlabelled is None:
        return None
    if reason := reason_against(choice, requested):
        typer.echo(f"The images in {unlabelled.name}/ are not used: {reason}.\n")
        return None
    return plan_pretraining(unlabelled, opened, source, requested, elapsed_seconds)


def _pretrain(pretraining: Pretraining, request: TaskRequest, source: str, options: CommandOptions) -> Path:
    """Learn without labels, show the progress, and return the path of the model."""
    folder = Path(f"{options.run.rstrip('/')}-unlabelled") if options.run else None
    trainer, last = pretraining.run(folder, options.threads, request), None
    with (Bar if is_live(sys.stdout) else Lines)() as display:
        for last in trainer:
            display(last)
    if isinstance(last, Interrupted):
        if trainer.saved_path:
            typer.echo("\nStopped before the training on labels. To continue without them:")
            typer.secho(f"  opsin train --resume {trainer.saved_path.parent}", dim=True)
            _print_next("To begin the training on labels with the features so far:", source, trainer.saved_path)
        raise KeyboardInterrupt
    print_heading(f"\n{trainer.saved_path}", " has the features.\n")
    return trainer.saved_path or Path()


def _print_next(text: str, source: str, features: Path) -> None:
    """Print how to train on labels with features that were learned without them."""
    typer.echo(text)
    typer.secho(f"  opsin train {source} --weights {features}", dim=True)


def _create_run(config: dict[str, Any], data: Dataset, folder: Path | None) -> Run:
    """Create the folder of a run, with the receipt of its data."""
    run = Run.create(config, data.name, folder)
    if data.receipt:
        run.write(f"{RECEIPT}.json", json.dumps(data.receipt.to_data(), indent=2, ensure_ascii=False) + "\n")
        run.write(f"{RECEIPT}.txt", data.receipt.text(full=True) + "\n")
    return run


def _load(opened: Source | Dataset, source: str, choice: NetworkChoice, options: CommandOptions) -> Dataset:
    """Load the data that was opened at `source`, and print the receipt of files."""
    data = load_for(choice, opened, source, options.cache_size, options.pixel_range)
    if data.receipt and os.path.exists(source):
        name, _, summary = data.receipt.text().partition(":")
        print_heading(name, f":{summary}\n")
    return data


def _search(
    opened: Source | Dataset,
    source: str,
    choice: NetworkChoice,
    data: Dataset,
    requested: TrainOptions,
    elapsed_seconds: float,
    options: CommandOptions,
) -> SearchResult:
    """Compare recipes in short trials, and print the results."""

    def load(other: NetworkChoice) -> Dataset:
        return load_for(other, opened, source, options.cache_size, options.pixel_range)

    with StatusLine() as line:
        result = search(choice, data, requested, elapsed_seconds, load, line.show)
    if trials := [each for each in result.evidence if "recipe" in each]:
        print_heading("Trials")
        heads = ("recipe", "seconds", "validation error", "predicted")
        rows = [
            (str(trial["recipe"]), f"{trial['seconds']:.1f}", percent(trial["error"], digits=2),
             percent(trial["predicted_error"], digits=2) if "predicted_error" in trial else "")
            for trial in trials
        ]  # fmt: skip
        print_table(heads, rows, left=(0,))
        typer.echo()
    return result


def _print_plan(plan: AutoPlan, has_curve: bool, trials: str = "") -> None:
    """Print the plan, the reasons for it, and what it takes; `trials` describes those that would precede it."""
    print_heading("Plan")
    if trials:
        typer.echo(f"  - {trials}; the best one is trained. Without trials:")
    for reason in plan.reasons:
        typer.echo(f"  - {reason}")
    estimate = plan.expected
    times = [f"{duration(estimate.seconds)} of training"]
    if has_curve:
        times.append(f"about {duration((TRAININGS - 1) * estimate.seconds)} for the learning curve")
    time = f"{', '.join(times)}, then up to {duration(estimate.report)} for the report"
    typer.echo(f"  Expected on this machine, by measurement: {time}; {size(estimate.bytes)} of memory.\n")


def _tensorboard(folder: Path) -> Any:
    """Return a context that gives a writer of events for TensorBoard. Its package is imported only here."""
    return closing(TensorBoard(folder / "tensorboard"))


def _print_start(data: Dataset, start: Started) -> None:
    channels, height, width = data.shape
    shape = f"{height} × {width}, {'grey' if channels == 1 else 'colour'}"
    shape = shape if data.input is None else data.input.describe()
    splits = f"{start.images:,} for training, "
    splits += (
        f"{start.held_out:,} for validation, {start.test:,} for testing"
        if data.validation
        else f"{start.test:,} held out"
    )
    print_heading(
        data.name,
        f": {data.task.subject()}, {splits}; {shape}",
    )
    print_heading(start.network, f": {start.parameters:,} parameters")
    if start.done:
        typer.echo(f"Continuing after step {start.done:,}.")
    typer.echo()


def _print_end(last: Event | None, folder: Path, many: str) -> None:
    typer.echo()
    if isinstance(last, Interrupted):
        typer.echo(f"Stopped in epoch {last.epoch}, after step {last.step:,}. To continue:")
        typer.secho(f"  opsin train --resume {folder}", dim=True)
    if isinstance(last, Finished):
        typer.echo(f"Trained in {clock(last.seconds)}, {last.images / max(last.seconds, 1e-9):,.0f} {many}/s.")
        if last.test:
            print_heading(*_result(last.test, many))


def _print_left_out(model: Model) -> None:
    """Print the result of a few-shot model on images that were left out."""
    made = model.record[FEW_SHOT]
    typer.echo(f"The last layer was computed by {made['method']}.")
    result = made.get("left_out")
    if result is None:
        typer.echo("Each class has one image, so that none can be left out. To measure the model on other images:")
        typer.secho(f"  opsin evaluate {model.name} DATA", dim=True)
        return
    low, high = percent(result["low"]), percent(result["high"])
    print_heading(
        f"{result['correct']:,} of {result['images']:,}",
        f" images classified correctly by the others; of new ones, expect {low} to {high}.",
    )


def _result(score: Score, many: str) -> tuple[str, str]:
    """Return the main figure of a result, and the rest of the sentence."""
    if ACCURACY in score.metrics:
        return percent(score.accuracy, digits=2), f" of the {score.images:,} test {many} classified correctly."
    main, *others = score.metrics
    details = f" ({', '.join(map(score.text, others))})" if others else ""
    return score.text(main), f" on the {score.images:,} test {many}{details}."
