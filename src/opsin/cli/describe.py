"""`opsin describe`: a network or a model, layer by layer."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

import typer

from opsin import nn, zoo
from opsin.cli.output import print_heading, print_table
from opsin.errors import UsageError
from opsin.graph import Graph, show
from opsin.model import Model, load


@dataclass(frozen=True)
class Subject:
    """What is described: its graph, the layers' kinds, and what a model adds."""

    name: str
    graph: Graph
    kinds: dict[str, str]
    model: Model | None = field(default=None, repr=False)

    @property
    def input_shape(self) -> tuple[Any, ...]:
        return self.graph.inputs[0].shape[1:]

    @property
    def classes(self) -> Any:
        return self.graph.outputs["logits"].shape[-1]


def run(what: str, as_json: bool) -> int:
    """Prints the table of a network's layers, and for a model how it came about."""
    subject = _find(what)
    description = nn.describe(subject.graph, subject.kinds)
    if as_json:
        typer.echo(json.dumps(_data(subject, description), indent=2, ensure_ascii=False))
        return 0
    print_heading(subject.name, f": {show(subject.input_shape)} pictures, {subject.classes} classes")
    if subject.model:
        _print_training(subject.model)
    typer.echo()
    heads = ("layer", "kind", "output", "parameters", "multiply-adds", "sees", "memory", "to train")
    rows = [_row(row) for row in description.rows]
    total = (
        "in all", "", "", f"{description.parameters:,}", f"{description.macs:,}", "",
        _bytes(description.inference_memory), _bytes(description.training_memory),
    )  # fmt: skip
    print_table(heads, [*rows, total], left=(0, 1, 2))
    typer.secho(
        "\nMultiply-adds and memory are for one picture; 'sees' is the receptive field in its pixels.", dim=True
    )
    return 0


def _find(what: str) -> Subject:
    """A network of the zoo, or a model file."""
    if what in zoo.names():
        entry = zoo.find(what)
        network = entry()
        return Subject(what, nn.trace(network, entry.input_shape), nn.layer_kinds(network))
    if not os.path.exists(what):
        raise UsageError(f"{what} is no model file and no network; the networks are {', '.join(zoo.names())}")
    model = load(what)
    return Subject(f"{what} ({model.network})", model.graph, model.layers, model)


def _print_training(model: Model) -> None:
    record = model.record
    typer.echo(f"labels: {_shortened(model.labels)}")
    if history := record.get("history"):
        typer.echo(
            f"trained on {record['pictures']:,} pictures of {record['data']} for {len(history)} epochs: "
            f"{history[-1]['held_out_accuracy']:.2%} of {record['held_out']:,} held-out pictures right"
        )


def _shortened(labels: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(labels[:most]) + (f", … ({len(labels)})" if len(labels) > most else "")


def _row(row: nn.Row) -> tuple[str, ...]:
    rows, columns = row.receptive_field
    return (
        row.path,
        row.kind,
        show(row.output[1:]),
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.macs:,}" if row.macs else "",
        f"{rows} × {columns}",
        _bytes(row.inference_memory),
        _bytes(row.training_memory) if row.training_memory else "",
    )


def _bytes(count: float) -> str:
    """`812 B`, `3.1 kB`, `14.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _data(subject: Subject, description: nn.Description) -> dict[str, Any]:
    data = {
        "name": subject.name,
        "input": list(subject.input_shape),
        "classes": subject.classes,
        "parameters": description.parameters,
        "macs": description.macs,
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
