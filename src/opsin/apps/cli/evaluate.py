"""`opsin evaluate`: measure a model on labelled images, per class or as a full report."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path
from typing import Any

import typer

from opsin.apps.cli.arithmetic import Arithmetic, ArithmeticOptions
from opsin.apps.cli.load_data import load_for_model, task_request
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import print_heading, print_json, print_table
from opsin.apps.cli.text_file import read_text
from opsin.base.errors import UsageError
from opsin.base.formatting import percent
from opsin.data import Dataset, Samples
from opsin.inputs.registry import NOUNS
from opsin.model import Evaluation, Model
from opsin.model.int8 import INT8, comparison_of
from opsin.model.layer_costs import layer_costs
from opsin.quantization.comparison import Comparison
from opsin.report import measure_model, page, text, write_text
from opsin.report.task_tables import is_number_column
from opsin.tasks.task import AnnotatedEvaluation

MAX_CONFUSIONS = 3
"""The most confusions of a class that are shown, the most frequent ones."""


def run(
    name: str,
    source: str,
    as_json: bool,
    report: str | None,
    target: str | None = None,
    arithmetic: ArithmeticOptions = (),
    layers: bool = False,
    pairs: str | None = None,
) -> int:
    """Print the scores and what they consist of; with `report`, also write the page.

    `target` names the columns of a table, if the data is one. With `pairs`, a file, measure identities on the pairs of
    images that it lists. In int8, also say how the answers compare with those in
    float32, or with `layers` only what each layer costs.
    """
    settings = Arithmetic(*arithmetic).checked()
    if layers and settings.precision != INT8:
        raise UsageError("--layers says what each layer costs in 8-bit integers; add --precision int8, or leave it out")
    if report is not None:
        _check_report_path(report)
    model = open_model(name)
    model.check()
    model.max_drop = inf  # what int8 loses is measured, not refused
    settings.apply(model)
    if pairs is not None:
        return _evaluate_pairs(model, source, pairs, report, as_json)
    columns = task_request(None, target).columns
    data = load_for_model(model, source, columns)
    if report is not None:
        return _report(model, data, report, as_json)
    images, which = _unseen_images(model, data)
    many = NOUNS[images.kind][1]
    if layers:
        return _print_layers(model, images, as_json)
    result = model.evaluate(images)
    comparison = comparison_of(model, images) if settings.precision == INT8 else None
    if as_json:
        data_of_result = _data(result) if isinstance(result, Evaluation) else result.to_data()
        compared = {"int8": comparison.to_data()} if comparison else {}
        print_json({"model": name, "data": source, **data_of_result, **compared})
        return 0
    if comparison:
        print_heading("int8", f" against float32: {comparison}\n")
    if not isinstance(result, Evaluation):
        _print_sections(result, f"{which} {many}", data.name)
        return 0
    print_heading(
        percent(result.accuracy, digits=2),
        f" of the {result.images:,} {which} {many} of {data.name} classified correctly",
    )
    typer.echo(f"{result.images - result.correct:,} wrong, mean loss {result.loss:.4f}\n")
    print_table(("class", many, "correct", "", "confused with"), _rows(result), left=(0, 4))
    return 0


def _evaluate_pairs(model: Model, source: str, pairs: str, report: str | None, as_json: bool) -> int:
    """Measure a model of identities on the pairs that a file lists; it may name images of every split."""
    if not hasattr(model.task, "evaluate_pairs"):
        raise UsageError(f"--pairs is for models of identities, and {model.name} does {model.task.name}; leave it out")
    if report is not None:
        raise UsageError("the report compares all pairs of the images; leave --pairs out, or --report")
    text = read_text(pairs)
    images = load_for_model(model, source).all_images()
    if images.names is None:
        raise UsageError(f"the images of {source} have no names, which pairs refer to; give a folder or an archive")
    listed = model.task.read_pairs(text, pairs, images.names)
    used = images.take(listed.images)
    result = model.task.evaluate_pairs(list(model.results(used)), listed.among(listed.images), model.calibration)
    if as_json:
        print_json({"model": model.name, "data": source, "pairs_file": pairs, **result.to_data()})
        return 0
    typer.echo(f"{len(result.pairs):,} pairs of {pairs}")
    _print_sections(result, "given images", source)
    return 0


def _print_layers(model: Model, images: Samples, as_json: bool) -> int:
    """Print what each layer costs alone in int8, the costliest first."""
    costs = sorted(layer_costs(model, images), key=lambda cost: -cost.error)
    if as_json:
        print_json([cost.to_data() for cost in costs])
        return 0
    rows = [(cost.layer, f"{100 * cost.error:.2f}%", *_changes(cost.comparison)) for cost in costs]
    print_table(("layer in int8", "error of the outputs", "lost", "won", "drop in points (95%)"), rows, left=(0,))
    return 0


def _changes(comparison: Comparison | None) -> tuple[str, str, str]:
    if comparison is None or comparison.interval is None:
        return "", "", ""
    low, high = comparison.interval
    return f"{comparison.lost:,}", f"{comparison.won:,}", f"{comparison.drop:.2f} ({low:.2f} to {high:.2f})"


def _print_sections(result: AnnotatedEvaluation, which: str, data: str) -> None:
    """Print the scores of an annotated task, and the tables of its sections."""
    main, *others = result.score.metrics
    rest = ", ".join(map(result.score.text, others))
    print_heading(result.score.text(main), f" on the {result.images:,} {which} of {data}{f' ({rest})' if rest else ''}")
    for section in result.sections():
        if section.table is not None:
            typer.echo()
            print_heading(section.heading)
            texts = [place for place in range(len(section.table.columns)) if not is_number_column(section.table, place)]
            print_table(section.table.columns, section.table.rows, left=texts)


def _check_report_path(report: str) -> None:
    """Raise `UsageError` if the report could not be written, or would replace something else."""
    path = Path(report)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report is an HTML file: call it {path.with_suffix('.html')} instead of {report}")
    if not os.path.isdir(path.parent):
        raise UsageError(f"{path.parent} is not a folder; create it first, or write the report to another folder")
    if os.path.isdir(path):
        raise UsageError(f"{report} is a folder; give the name of a file for the report")


def _report(model: Model, data: Dataset, report: str, as_json: bool) -> int:
    """Write the full report to a file, and print its summary."""
    model_report = measure_model(model, data)
    write_text(Path(report), page(model_report))
    if as_json:
        print_json(model_report.to_data())
        return 0
    first, *lines = text(model_report)
    print_heading(first)
    for line in lines:
        typer.echo(line)
    typer.echo()
    print_heading(report, " is the full report, for a browser.")
    return 0


def _unseen_images(model: Model, data: Dataset) -> tuple[Samples, str]:
    """Return images that the model was not trained on, and what to call them.

    These are the test split if the data has one, or if it is the data that the model was trained on; else all images.
    """
    if data.predefined_split or data.fingerprint == model.record.get("fingerprint"):
        return data.require_test(), "held-out"
    return data.all_images(), "unseen"


def _rows(result: Evaluation) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for number, name in enumerate(result.classes):
        count, correct = int(result.confusion[number].sum()), int(result.confusion[number, number])
        confusions = [f"{other} ({n:,})" for label, other, n in result.confusions() if label == name]
        listed = ", ".join(confusions[:MAX_CONFUSIONS]) + (", …" if len(confusions) > MAX_CONFUSIONS else "")
        rows.append((name, f"{count:,}", f"{correct:,}", percent(correct / count) if count else "", listed))
    return rows


def _data(result: Evaluation) -> dict[str, Any]:
    return {
        "images": result.images,
        "correct": result.correct,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "classes": list(result.classes),
        "confusion": result.confusion.tolist(),
    }
