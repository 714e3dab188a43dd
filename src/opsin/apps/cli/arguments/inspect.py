"""The arguments of `opsin describe`, `opsin profile` and `opsin tune`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import (
    Infer,
    InputSize,
    Json,
    NetworkOrModel,
    Precision,
    Threads,
    Winograd,
)
from opsin.apps.cli.lazy import command
from opsin.base.units import parse_seconds


def describe(
    network_or_model: NetworkOrModel,
    limit: Annotated[
        str | None,
        typer.Argument(metavar="[SIZE]", help="With --memory: the memory limit of training, such as 2GB."),
    ] = None,
    input: InputSize = None,
    classes: Annotated[
        int | None, typer.Option(metavar="N", show_default="that of the network", help="Number of classes.")
    ] = None,
    json: Json = False,
    diagram: Annotated[
        str | None, typer.Option(metavar="FILE.svg", help="Also draw the architecture, as an image in this file.")
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Show the memory that a training step and a prediction take instead.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show every kernel call, in order, with its algorithm instead.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images per step, for --memory and --plan.")] = 32,
    infer: Annotated[bool, typer.Option("--infer", help="With --plan: show the plan of a prediction.")] = False,
    threads: Threads = None,
    winograd: Winograd = True,
    precision: Precision = "float32",
) -> int:
    """Show the layers of a network: shapes, parameters, MACs, receptive fields and memory."""
    if memory or plan or limit is not None:
        return command("execution_plan")(
            network_or_model, limit, input, classes, batch, threads, (winograd, precision), infer, (memory, plan, json)
        )
    return command("describe")(network_or_model, input, classes, json, diagram)


def profile(
    network_or_model: NetworkOrModel,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images per step.")] = 16,
    size: InputSize = None,
    infer: Infer = False,
    threads: Threads = None,
    winograd: Winograd = True,
    precision: Precision = "float32",
    by: Annotated[str, typer.Option(metavar="layer|kernel", help="Group the rows of the table by this.")] = "layer",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Number of rows in the table.")] = 30,
    seconds: Annotated[float, typer.Option(min=0.0, metavar="S", help="Time to measure for.")] = 3.0,
    svg: Annotated[
        str | None, typer.Option(metavar="FILE.svg", help="Also draw a flame graph, as an image in this file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every kernel call as JSON.")] = False,
) -> int:
    """Show how the time of a training step is spent: per layer and direction, compared with the machine's peak."""
    return command("profile")(
        network_or_model, batch, size, infer, threads, (winograd, precision), by, top, seconds, svg, json
    )


def tune(
    network_or_model: NetworkOrModel,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images per step.")] = 16,
    size: InputSize = None,
    infer: Infer = False,
    threads: Threads = None,
    precision: Precision = "float32",
    budget: Annotated[
        float | None,
        typer.Option(metavar="TIME", parser=parse_seconds, show_default="60s", help="Approximate time limit."),
    ] = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Delete the results for this network instead, and use the defaults again."),
    ] = False,
) -> int:
    """Time the algorithms for each convolution on this machine, and use the fastest from now on (experimental).

    The benefit has been measured on one machine only, where the heuristic is close to the fastest choice. Algorithms
    round differently, so the last digits of results may change.
    """
    return command("tune")(network_or_model, batch, size, infer, threads, budget, clear, precision)
