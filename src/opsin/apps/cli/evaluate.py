"""`opsin evaluate`: how a model does on labelled images, in a line a class or as a whole report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from opsin.apps.cli.models import open_model
from opsin.apps.cli.output import print_heading, print_json, print_table
from opsin.base.errors import UsageError
from opsin.data import Dataset, LabeledImages
from opsin.data import load as load_data
from opsin.model import Evaluation, Model
from opsin.report import measure_model, page, text, write_text

MISTAKES = 3
"""So many of a class's mistakes are shown, the most frequent ones."""


def run(model: str, data: str, as_json: bool, report: str | None) -> int:
    """Prints accuracy, loss, and each class with what it is mistaken for; with `report` writes the page, too."""
    if report is not None:
        _check_report(report)
    loaded = open_model(model)
    loaded.check()
    dataset = load_data(data, preprocessing=loaded.preprocessing)
    if report is not None:
        return _report(loaded, dataset, report, as_json)
    images, which = _unseen(loaded, dataset)
    result = loaded.evaluate(images)
    if as_json:
        print_json({"model": model, "data": data, **_data(result)})
        return 0
    print_heading(f"{result.accuracy:.2%}", f" of the {result.images:,} {which} images of {dataset.name} right")
    typer.echo(f"{result.images - result.correct:,} wrong, mean loss {result.loss:.4f}\n")
    print_table(("class", "images", "right", "", "taken for"), _rows(result), left=(0, 4))
    return 0


def _check_report(report: str) -> None:
    """`UsageError` where the report could not be written at the end, or would replace something else."""
    path = Path(report)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report is an HTML file: call it {path.with_suffix('.html')} instead of {report}")
    if not os.path.isdir(path.parent):
        raise UsageError(f"{path.parent} is no folder; make it first, or name another place for the report")
    if os.path.isdir(path):
        raise UsageError(f"{report} is a folder; give the name of a file for the report")


def _report(model: Model, data: Dataset, report: str, as_json: bool) -> int:
    """The whole account: the page into a file, its core onto the terminal."""
    account = measure_model(model, data)
    write_text(Path(report), page(account))
    if as_json:
        print_json(account.to_data())
        return 0
    first, *lines = text(account)
    print_heading(first)
    for line in lines:
        typer.echo(line)
    typer.echo()
    print_heading(report, " is the whole report, for a browser.")
    return 0


def _unseen(model: Model, data: Dataset) -> tuple[LabeledImages, str]:
    """The held-out images; all of them, where Opsin divided data that the model was not trained on."""
    if data.predefined_split or data.fingerprint == model.record.get("fingerprint"):
        return data.require_test(), "held-out"
    return data.all_images(), "unseen"


def _rows(result: Evaluation) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for number, name in enumerate(result.classes):
        count, right = int(result.confusion[number].sum()), int(result.confusion[number, number])
        taken = [f"{other} ({n:,})" for label, other, n in result.mistakes() if label == name]
        shown = ", ".join(taken[:MISTAKES]) + (", …" if len(taken) > MISTAKES else "")
        rows.append((name, f"{count:,}", f"{right:,}", f"{right / count:.1%}" if count else "", shown))
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
