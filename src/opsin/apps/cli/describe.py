"""`opsin describe`: a network or a model, layer by layer, as a table, as JSON, or as an image of its architecture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

import opsin
from opsin import nn
from opsin.apps.cli.outline import Entry, outline
from opsin.apps.cli.output import print_heading, print_json, print_table, write_aside
from opsin.apps.cli.subject import Subject, find_subject
from opsin.base.errors import UsageError
from opsin.base.formatting import exact_size
from opsin.ir import show
from opsin.nn.describe import NUMBER_BYTES

if TYPE_CHECKING:  # the room of models takes longer to load than all the rest
    from opsin.model import Model

COPIES = 3
"""Of every parameter in training: itself and AdamW's two moments."""


def run(what: str, size: str | None, classes: int | None, as_json: bool, diagram: str | None) -> int:
    """Prints the table of a network's layers, and for a model how it came about; with `diagram` writes the image."""
    if diagram is not None and not diagram.lower().endswith(".svg"):
        raise UsageError(f"the diagram is an SVG file: call it {os.path.splitext(diagram)[0]}.svg instead of {diagram}")
    subject = find_subject(what, size, classes)
    description = nn.describe(subject.graph, subject.kinds)
    if diagram is not None:
        name = subject.model.network if subject.model else subject.name
        write_aside(diagram, opsin.viz.diagram(subject.graph, subject.kinds, name))
    if as_json:
        print_json(_data(subject, description))
        return 0
    print_heading(subject.name, f": {show(subject.input_shape)} images, {subject.classes} classes")
    if subject.model:
        _print_training(subject.model)
    typer.echo()
    _print_layers(description)
    if diagram is not None:
        typer.echo(f"\n{diagram} shows the architecture.")
    return 0


def _print_training(model: Model) -> None:
    record = model.record
    typer.echo(f"labels: {_shortened(model.labels)}")
    if history := record.get("history"):
        typer.echo(
            f"trained on {record['images']:,} images of {record['data']} for {len(history)} epochs: "
            f"{_accuracy(record)} images right"
        )


def _accuracy(record: Mapping[str, Any]) -> str:
    """`98.20% of 1,000 test`: what it ended with, or where it did not come to its end, what the last epoch had."""
    if test := record.get("test"):
        return f"{test['accuracy']:.2%} of {test['images']:,} test"
    return f"{record['history'][-1]['held_out_accuracy']:.2%} of {record['held_out']:,} held-out"


def _shortened(labels: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(labels[:most]) + (f", … ({len(labels)})" if len(labels) > most else "")


def _print_layers(description: nn.Description) -> None:
    """The table, and below it what its figures mean."""
    entries = list(outline(description.rows))
    heads = ("layer", "kind", "output", "parameters", "multiply-adds", "sees", "memory", "to train")
    total = (
        "in all", "", "", f"{description.parameters:,}", f"{description.macs:,}", "",
        exact_size(description.inference_memory), exact_size(description.training_memory),
    )  # fmt: skip
    print_table(heads, [*map(_cells, entries), total], left=(0, 1, 2))
    numbers = NUMBER_BYTES * description.parameters
    typer.echo(
        f"\nOne image needs {exact_size(numbers + description.inference_memory)}: {exact_size(numbers)} for the "
        f"parameters, {exact_size(description.inference_memory)} for activations.\n"
        f"Training with AdamW keeps {exact_size(COPIES * numbers)} of parameters and moments; "
        "--memory plans what a batch takes beside them."
    )
    note = "Multiply-adds and memory are for one image; 'sees' is the receptive field in its pixels."
    if any(entry.copies > 1 for entry in entries):
        note += (
            "\n×n: n blocks alike, with the sums of all; what the last makes and sees, and below it the first's layers."
        )
    typer.secho(note, dim=True)


def _cells(entry: Entry) -> tuple[str, ...]:
    """A line of the table: of one row, or of a block with its sums."""
    rows = entry.rows
    parameters, macs, kept = (sum(numbers) for numbers in zip(*map(_sums, rows), strict=True))
    return (
        "  " * entry.depth + entry.name + (f" ×{entry.copies}" if entry.copies > 1 else ""),
        entry.kind,
        show(rows[-1].output[1:]),
        f"{parameters:,}" if parameters else "",
        f"{macs:,}" if macs else "",
        "{} × {}".format(*rows[-1].receptive_field),
        exact_size(max(row.inference_memory for row in rows)),
        exact_size(kept) if kept else "",
    )


def _sums(row: nn.LayerRow) -> Sequence[int]:
    return row.parameters, row.macs, row.training_memory


def _data(subject: Subject, description: nn.Description) -> dict[str, Any]:
    data = {
        "name": subject.name,
        "input": list(subject.input_shape),
        "classes": subject.classes,
        "parameters": description.parameters,
        "macs": description.macs,
        "parameter_memory": NUMBER_BYTES * description.parameters,
        "inference_memory": description.inference_memory,
        "training_memory": description.training_memory,
        "layers": [{**asdict(row), "output": list(row.output[1:])} for row in description.rows],
    }
    if subject.model:
        model = subject.model
        data["model"] = {
            "network": model.network,
            "labels": list(model.labels),
            "preprocessing": model.preprocessing.to_data(),
            "training": model.record,
        }
    return data
