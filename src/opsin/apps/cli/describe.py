"""`opsin describe`: the layers of a network or a model as a table, as JSON, or as a diagram of the architecture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

import opsin
from opsin import nn
from opsin.apps.cli.layer_tree import Entry, layer_tree
from opsin.apps.cli.output import print_heading, print_json, print_table, write_file
from opsin.apps.cli.subject import Subject, find_subject
from opsin.base.errors import UsageError
from opsin.base.formatting import exact_size, percent
from opsin.ir import show
from opsin.nn.describe import NUMBER_BYTES
from opsin.tasks.score import ACCURACY, metric_value, readable

if TYPE_CHECKING:  # the package of models takes longer to load than everything else
    from opsin.model import Model

WITHOUT_TEST = ("the arrays", "the list of files")
"""Names of datasets that classifiers are fitted to and that have no test split."""

HELD_OUT = "held_out_"
"""How the results of an epoch begin in the record of a training."""

MAX_LABELS = 12
"""The most labels of a model that are listed."""


def run(name: str, size: str | None, classes: int | None, as_json: bool, diagram: str | None) -> int:
    """Print the table of layers, and for a model how it was trained; with `diagram`, also draw the architecture."""
    if diagram is not None and not diagram.lower().endswith(".svg"):
        raise UsageError(f"the diagram is an SVG file: call it {os.path.splitext(diagram)[0]}.svg instead of {diagram}")
    subject = find_subject(name, size, classes)
    description = nn.describe(subject.graph, subject.kinds)
    if diagram is not None:
        title = subject.model.network if subject.model else subject.name
        write_file(diagram, opsin.viz.diagram(subject.graph, subject.kinds, title))
    if as_json:
        print_json(_data(subject, description))
        return 0
    print_heading(subject.name, f": {show(subject.input_shape)} images, {subject.subject}")
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
            f"trained on {record['images']:,} images of {record['data']} for {len(history)} epochs: {result(record)}"
        )


def result(record: Mapping[str, Any]) -> str:
    """Return the accuracy, or the main metric of the task, and which images it was measured on.

    A finished training has a final measurement, an interrupted one that of the last epoch.
    """
    split = _measured_on(record)
    if score := record.get(split) or record.get("test"):
        metrics, images = score, score["images"]
    else:
        last = record["history"][-1]
        metrics = {name.removeprefix(HELD_OUT): last[name] for name in last if name.startswith(HELD_OUT)}
        images, split = record["held_out"], record.get("held_out_split", "held-out")
    name = next(name for name in metrics if name not in ("images", "loss"))
    text = f"{readable(name)} {metric_value(name, metrics[name])} on {images:,} {split} images"
    if name == ACCURACY:
        text = f"{percent(metrics[name], digits=2)} of {images:,} {split} images classified correctly"
    return text if split != "training" else f"{text}, which says nothing about new images"


def _measured_on(record: Mapping[str, Any]) -> str:
    """Return the split of the final measurement: "test", "validation" or "training".

    Opsin 0.1.0 did not record it and stored every score under "test". Its classifiers had no test split if they were
    fitted to arrays or lists of files.
    """
    if "measured_on" in record:
        return str(record["measured_on"])
    if record.get("data") not in WITHOUT_TEST or "test" not in record:
        return "test"
    return "training" if record["test"]["images"] == record["images"] else "validation"


def _shortened(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:MAX_LABELS]) + (f", … ({len(labels)})" if len(labels) > MAX_LABELS else "")


def _print_layers(description: nn.Description) -> None:
    """Print the table, and notes on its figures."""
    entries = list(layer_tree(description.rows))
    heads = ("layer", "kind", "output", "parameters", "MACs", "receptive field", "memory", "saved for backward")
    total = (
        "total", "", "", f"{description.parameters:,}", f"{description.macs:,}", "",
        exact_size(description.inference_memory), exact_size(description.training_memory),
    )  # fmt: skip
    print_table(heads, [*map(_cells, entries), total], left=(0, 1, 2))
    parameters = NUMBER_BYTES * description.parameters
    typer.echo(
        f"\nPredicting one image takes {exact_size(parameters + description.inference_memory)}: "
        f"{exact_size(parameters)} for the parameters, {exact_size(description.inference_memory)} for activations.\n"
        "--memory shows what a training step takes, with the optimizer that `opsin train` would use."
    )
    note = "MACs and memory are for one image. The receptive field is in pixels of the image."
    if any(entry.copies > 1 for entry in entries):
        note += (
            "\n×n: n equal blocks, with the sums of all; output and receptive field are those of the last block, and "
            "the layers\nbelow are those of the first."
        )
    typer.secho(note, dim=True)


def _cells(entry: Entry) -> tuple[str, ...]:
    """Return a line of the table: a row, or a group with its sums."""
    rows = entry.rows
    parameters, macs, saved_bytes = (sum(numbers) for numbers in zip(*map(_costs, rows), strict=True))
    return (
        "  " * entry.depth + entry.name + (f" ×{entry.copies}" if entry.copies > 1 else ""),
        entry.kind,
        show(rows[-1].output[1:]),
        f"{parameters:,}" if parameters else "",
        f"{macs:,}" if macs else "",
        "{} × {}".format(*rows[-1].receptive_field),
        exact_size(max(row.inference_memory for row in rows)),
        exact_size(saved_bytes) if saved_bytes else "",
    )


def _costs(row: nn.LayerRow) -> Sequence[int]:
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
