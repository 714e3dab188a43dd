"""`opsin describe`, `opsin profile` and `opsin tune`: what they take. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.lazy import command

Subject = Annotated[
    str, typer.Argument(metavar="NETWORK|MODEL", help="A network's name, such as lenet5, or a model file.")
]
Size = Annotated[
    str | None,
    typer.Option(metavar="SIZE", show_default="what it was made for", help="Channels, rows and columns: 3x224x224."),
]
Infer = Annotated[bool, typer.Option("--infer", help="A prediction instead of a training step.")]
Exact = Annotated[bool, typer.Option("--exact", help="Keep to algorithms without Winograd's rounding.")]
Threads = Annotated[
    int | None, typer.Option(min=1, metavar="N", show_default="every core", help="Threads to compute with.")
]


def describe(
    network_or_model: Subject,
    limit: Annotated[
        str | None,
        typer.Argument(metavar="[SIZE]", help="With --memory: the most that training may take, such as 2GB."),
    ] = None,
    input: Size = None,
    classes: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="what it was made for", help="How many classes it tells apart."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    diagram: Annotated[
        str | None, typer.Option(metavar="FILE.svg", help="Draw the architecture, too, as an image in this file.")
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Instead: the memory that a training step takes, and a prediction.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Instead: every call of a kernel, in order, with its algorithm.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images at once, for --memory and --plan.")] = 32,
    infer: Annotated[bool, typer.Option("--infer", help="With --plan: of a prediction.")] = False,
    threads: Threads = None,
    exact: Exact = False,
) -> int:
    """Show the layers of a network: shapes, parameters, multiply-adds, receptive fields, memory."""
    if memory or plan or limit is not None:
        return command("plans")(
            network_or_model, limit, input, classes, batch, threads, exact, infer, (memory, plan, json)
        )
    return command("describe")(network_or_model, input, classes, json, diagram)


def profile(
    network_or_model: Subject,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images in one step.")] = 16,
    size: Size = None,
    infer: Infer = False,
    threads: Threads = None,
    exact: Exact = False,
    by: Annotated[str, typer.Option(metavar="layer|kernel", help="What makes a line of the table.")] = "layer",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Lines of the table.")] = 30,
    seconds: Annotated[float, typer.Option(min=0.0, metavar="S", help="How long to measure.")] = 3.0,
    svg: Annotated[str | None, typer.Option(metavar="FILE.svg", help="Draw the step as a flame graph, too.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every call as JSON.")] = False,
) -> int:
    """Show where the time of a training step goes: layer by layer, forward and backward, against the machine's peak."""
    return command("profile")(network_or_model, batch, size, infer, threads, exact, by, top, seconds, svg, json)


def tune(
    network_or_model: Subject,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images at once.")] = 16,
    size: Size = None,
    infer: Infer = False,
    threads: Threads = None,
    budget: Annotated[str, typer.Option(metavar="TIME", help="How long it may take, about.")] = "60s",
    forget: Annotated[
        bool, typer.Option("--forget", help="Instead: forget what was timed of it, and leave it to the model.")
    ] = False,
) -> int:
    """Time the ways to compute each convolution on this machine, and use the fastest from now on.

    Other ways round differently: the last digits of results may change.
    """
    return command("tune")(network_or_model, batch, size, infer, threads, budget, forget)
