"""`opsin profile`: measure how the time of a training step or a prediction is spent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from opsin import nn
from opsin.apps.cli.output import print_json, write_file
from opsin.apps.cli.subject import Subject, find_subject
from opsin.backends.native.profile import Profile, ProfileRow, profile, summed
from opsin.backends.native.program import compile
from opsin.backends.tuning import noise
from opsin.base.errors import UsageError
from opsin.compiler.passes import FPROP, PASSES
from opsin.compiler.precision import Precision, in_words, precision_named
from opsin.ir import Graph, show
from opsin.model.int8 import INT8
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.viz.icicle import IcicleBar, icicle

TABLE_WIDTH = 100
"""Columns of the table, if it is not written to a terminal."""
MAX_PATH = 26
"""Characters of a layer's path in the table."""
WAITING = "waiting"
WAITING_NOTE = "for other threads, and for inputs to be copied"
LEARNING_RATE = 1e-6
"""A small rate: the parameters, and with them the timing, hardly depend on the number of steps."""


def run(
    name: str,
    batch: int,
    size: str | None,
    infer: bool,
    threads: int | None,
    arithmetic: tuple[bool, str],
    by: str,
    top: int,
    seconds: float,
    svg: str | None,
    as_json: bool,
) -> int:
    """Compile, run for about `seconds`, and print the table; with `svg`, also draw a flame graph.

    `arithmetic` is whether Winograd's algorithm is allowed, and the precision. In int8, random images give the ranges.
    """
    winograd, is_whole = arithmetic[0], arithmetic[1] == INT8
    precision = Precision.FLOAT32 if is_whole else precision_named(arithmetic[1])
    if is_whole and not infer:
        raise UsageError("--precision int8 predicts only: give --infer, too")
    if by not in ("layer", "kernel"):
        raise UsageError(f"--by takes layer or kernel, not '{by}'")
    if svg is not None and not svg.lower().endswith(".svg"):
        raise UsageError(f"the image is an SVG file: call it {os.path.splitext(svg)[0]}.svg instead of {svg}")
    subject = find_subject(name, size, None, "--size")
    graph = subject.graph if infer else subject.training_step()
    state = _state(graph, subject)
    if is_whole:
        images = _inputs(graph, subject, batch)["inputs"]
        graph, state = quantize_graph(graph, state, calibrated(graph, state, images, compile, threads))
    program = compile(graph, batch, threads, winograd=winograd, precision=precision)
    program.load_state(state)
    result = profile(program, _inputs(program.graph, subject, batch), seconds)
    kind = "prediction" if infer else "training step"
    title = f"{subject.name}, {kind}, {batch} images of {show(subject.input_shape)}"
    title += f", {INT8}" if is_whole else in_words(precision)
    if svg is not None:
        write_file(svg, icicle(tree(result, kind), title, _summary(result, batch)))
    if as_json:
        print_json(_data(title, batch, result))
        return 0
    typer.secho(title, bold=True)
    typer.echo(_summary(result, batch) + "\n")
    _print(result, by, top)
    if svg is not None:
        typer.echo(f"\n{svg} is the flame graph.")
    return 0


def _state(graph: Graph, subject: Subject) -> dict[str, Any]:
    """Return the parameters: a model's, or initial ones."""
    state = nn.initial_state(graph, seed=0)
    if subject.model is not None:
        state |= {name: value for name, value in subject.model.state.items() if name in state}
    return state


def _inputs(graph: Graph, subject: Subject, batch: int) -> dict[str, Any]:
    """Return random images and labels."""
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {"inputs": rng.normal(size=(batch, *subject.input_shape)).astype(np.float32)}
    if len(graph.inputs) > 1:
        targets = {name: array for name, array in noise(graph).items() if name != "inputs"}
        if "labels" in targets and targets["labels"].dtype == np.int32:
            targets["labels"] = rng.integers(0, subject.classes, targets["labels"].shape).astype(np.int32)
        inputs |= targets | {"learning_rate": LEARNING_RATE}
    return inputs


def _summary(result: Profile, batch: int) -> str:
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    return (
        f"{1e3 * result.total:,.2f} ms, {batch / result.total:,.1f} images/s on {threads}, "
        f"fastest of {result.runs} runs; peak {result.peak / 1e9:.0f} GFLOP/s, {result.bandwidth / 1e9:.0f} GB/s"
    )


# -- table --------------------------------------------------------------------------------------


def by_layer(result: Profile) -> list[ProfileRow]:
    """Return a row for each layer and direction, the slowest first."""
    return _group_rows(result.lines, lambda row: (row.layer, row.direction))


def by_kernel(result: Profile) -> list[ProfileRow]:
    """Return a row for each algorithm and direction, the slowest first."""
    return _group_rows(result.lines, lambda row: (row.algorithm, row.direction))


def _group_rows(rows: Iterable[ProfileRow], key: Callable[[ProfileRow], tuple[str, str]]) -> list[ProfileRow]:
    groups: dict[tuple[str, str], list[ProfileRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return sorted(map(summed, groups.values()), key=lambda row: -row.seconds)


def _print(result: Profile, by: str, top: int) -> None:
    """Print the slowest rows, the sum of the others, the waiting, the total, and notes on the figures."""
    rows = by_layer(result) if by == "layer" else by_kernel(result)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", show_footer=False)
    heads = ("layer", "direction", "algorithm") if by == "layer" else ("algorithm", "direction", "calls")
    for number, head in enumerate((*heads, "ms", "GFLOP/s", "peak", "MB", "GB/s", "share")):
        left = number < 2 or head == "algorithm"
        table.add_column(head, justify="left" if left else "right", no_wrap=True, overflow="ellipsis")
    for row in rows[:top]:
        names = (_abbreviated(row.layer), row.direction, row.algorithm)
        table.add_row(
            *(names if by == "layer" else (row.algorithm, row.direction, f"{row.calls}")), *_cells(row, result)
        )
    remainder = rows[top:]
    if remainder:
        table.add_row(f"{len(remainder)} more", "", "", *_cells(summed(remainder), result))
    cells = f"{1e3 * result.waiting:.2f}", "", "", "", "", f"{result.share(result.waiting):.1%}"
    table.add_row(WAITING, "", "", *cells, style="dim")
    total = summed([*result.lines, ProfileRow("", "", "", "", (), result.waiting, 0, 0)])
    table.add_row("total", "", "", *_cells(total, result), style="bold")
    console = Console(highlight=False, soft_wrap=False)
    console.width = max(TABLE_WIDTH, console.width) if not console.is_terminal else console.width
    console.print(table)
    typer.secho(
        "\nms: sum over all threads, divided by their number. GFLOP/s: counted as for direct convolution,\n"
        "so Winograd's algorithm can exceed the peak. MB: each operand and result once. A call with several\n"
        "operations counts for its convolution, or else for its last operation.\n"
        f"{WAITING}: {WAITING_NOTE}.",
        dim=True,
    )


def _cells(row: ProfileRow, result: Profile) -> tuple[str, ...]:
    rate = (f"{row.flops / 1e9:.1f}", f"{row.flops / result.peak:.0%}") if row.macs else ("", "")
    return (
        f"{1e3 * row.seconds:.2f}", *rate, f"{row.bytes / 1e6:.1f}", f"{row.bandwidth / 1e9:.1f}",
        f"{result.share(row.seconds):.1%}",
    )  # fmt: skip


def _abbreviated(path: str) -> str:
    """Return the path of a layer, without its middle if it is long."""
    if len(path) > MAX_PATH:
        path = f"{path[: MAX_PATH // 3]}…{path[-(MAX_PATH - MAX_PATH // 3 - 1) :]}"
    return path or "(network)"


# -- data and image -----------------------------------------------------------------------


def _data(title: str, batch: int, result: Profile) -> dict[str, Any]:
    return {
        "title": title, "batch": batch, "threads": result.threads, "runs": result.runs, "seconds": result.total,
        "waiting": result.waiting, "peak_flops": result.peak, "memory_bandwidth": result.bandwidth,
        "calls": [
            {**asdict(row), "flops": row.flops, "bytes_a_second": row.bandwidth, "share": result.share(row.seconds)}
            for row in result.lines
        ],
    }  # fmt: skip


def tree(result: Profile, name: str) -> IcicleBar:
    """Return the step as a tree: directions, in each of them the nested layers, and their kernel calls."""
    root = IcicleBar(name)
    for direction in PASSES:
        rows = [row for row in result.lines if (row.direction or FPROP) == direction]
        if rows:
            _add_calls(root.child(direction, direction), direction, rows, result)
    root.children[WAITING] = IcicleBar(WAITING, WAITING, result.waiting, WAITING_NOTE)
    return root


def _add_calls(root: IcicleBar, direction: str, rows: Sequence[ProfileRow], result: Profile) -> None:
    for number, row in enumerate(rows):
        bar = root
        for name in row.layer.split(".") if row.layer else ():
            bar = bar.child(name, direction)
        fused = f" with {', '.join(row.fused)}" if row.fused else ""
        notes = [f"{row.operation}{fused}", f"{row.bytes / 1e6:.2f} MB, {row.bandwidth / 1e9:.1f} GB/s"]
        if row.macs:
            notes.append(f"{row.flops / 1e9:.1f} GFLOP/s, {row.flops / result.peak:.0%} of the peak")
        # The number makes the key unique: a layer may call the same kernel more than once.
        bar.children[f"{number} {row.algorithm}"] = IcicleBar(row.algorithm, direction, row.seconds, "\n".join(notes))
