"""`opsin profile`: where the time of a training step, or of a prediction, goes."""

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
from opsin.apps.cli.output import print_json, write_aside
from opsin.apps.cli.subject import Subject, find_subject
from opsin.backends.native.profile import Profile, ProfileRow, profile, summed
from opsin.backends.native.program import Native, compile
from opsin.base.errors import UsageError
from opsin.compiler.passes import FPROP, PASSES
from opsin.ir import show
from opsin.viz.icicle import IcicleBar, icicle

COLUMNS = 100
"""What the table fits in."""
WAITING = "waiting"
RATE = 1e-6
"""A learning rate that moves the parameters so little that timing does not depend on how often it is done."""


def run(
    what: str,
    batch: int,
    size: str | None,
    infer: bool,
    threads: int | None,
    exact: bool,
    by: str,
    top: int,
    seconds: float,
    svg: str | None,
    as_json: bool,
) -> int:
    """Compiles, runs for about `seconds`, and prints the table; with `svg` draws it, too."""
    if by not in ("layer", "kernel"):
        raise UsageError(f"--by takes layer or kernel, not '{by}'")
    if svg is not None and not svg.lower().endswith(".svg"):
        raise UsageError(f"the image is an SVG file: call it {os.path.splitext(svg)[0]}.svg instead of {svg}")
    subject = find_subject(what, size, None, "--size")
    program = compile(subject.graph if infer else subject.step(), batch, threads, winograd=not exact)
    found = profile(program, _inputs(program, subject, batch), seconds)
    kind = "prediction" if infer else "training step"
    title = f"{subject.name}, {kind}, {batch} images of {show(subject.input_shape)}"
    if svg is not None:
        write_aside(svg, icicle(tree(found, kind), title, _facts(found, batch)))
    if as_json:
        print_json(_data(title, batch, found))
        return 0
    typer.secho(title, bold=True)
    typer.echo(_facts(found, batch) + "\n")
    _print(found, by, top)
    if svg is not None:
        typer.echo(f"\n{svg} shows it as an image.")
    return 0


def _inputs(program: Native, subject: Subject, batch: int) -> dict[str, Any]:
    """Random images and labels; the network gets a model's parameters, or first values."""
    graph = program.graph
    state = nn.initial_state(graph, seed=0)
    if subject.model is not None:
        state |= {name: value for name, value in subject.model.state.items() if name in state}
    program.load_state(state)
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {"inputs": rng.normal(size=(batch, *subject.input_shape)).astype(np.float32)}
    if len(graph.inputs) > 1:
        inputs |= {"labels": rng.integers(0, subject.classes, batch).astype(np.int32), "learning_rate": RATE}
    return inputs


def _facts(found: Profile, batch: int) -> str:
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    return (
        f"{1e3 * found.total:,.2f} ms, {batch / found.total:,.1f} images/s on {threads}, "
        f"fastest of {found.runs} runs; peak {found.peak / 1e9:.0f} GF/s, {found.bandwidth / 1e9:.0f} GB/s"
    )


# -- the table ----------------------------------------------------------------------------------


def by_layer(found: Profile) -> list[ProfileRow]:
    """The calls of each layer and direction as one line, the longest first."""
    return _grouped(found.lines, lambda line: (line.layer, line.direction))


def by_kernel(found: Profile) -> list[ProfileRow]:
    """The calls of each algorithm and direction as one line, the longest first."""
    return _grouped(found.lines, lambda line: (line.algorithm, line.direction))


def _grouped(lines: Iterable[ProfileRow], key: Callable[[ProfileRow], tuple[str, str]]) -> list[ProfileRow]:
    groups: dict[tuple[str, str], list[ProfileRow]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return sorted(map(summed, groups.values()), key=lambda line: -line.seconds)


def _print(found: Profile, by: str, top: int) -> None:
    """The longest lines, what the others and the waiting come to, and the sum; below, what the figures mean."""
    lines = by_layer(found) if by == "layer" else by_kernel(found)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", show_footer=False)
    heads = ("layer", "direction", "algorithm") if by == "layer" else ("algorithm", "direction", "calls")
    for number, head in enumerate((*heads, "ms", "GF/s", "peak", "MB", "GB/s", "share")):
        left = number < 2 or head == "algorithm"
        table.add_column(head, justify="left" if left else "right", no_wrap=True, overflow="ellipsis")
    for line in lines[:top]:
        names = (_shown(line.layer), line.direction, line.algorithm)
        table.add_row(
            *(names if by == "layer" else (line.algorithm, line.direction, f"{line.calls}")), *_cells(line, found)
        )
    rest = lines[top:]
    if rest:
        table.add_row(f"{len(rest)} more", "", "", *_cells(summed(rest), found))
    waiting = f"{1e3 * found.waiting:.2f}", "", "", "", "", f"{found.share(found.waiting):.1%}"
    table.add_row(WAITING, "", "", *waiting, style="dim")
    whole = summed([*found.lines, ProfileRow("", "", "", "", (), found.waiting, 0, 0)])
    table.add_row("in all", "", "", *_cells(whole, found), style="bold")
    console = Console(highlight=False, soft_wrap=False)
    console.width = max(COLUMNS, console.width) if not console.is_terminal else console.width
    console.print(table)
    typer.secho(
        "\nms: all threads' time over their number. GF/s: as direct summation counts, so that Winograd's\n"
        "may be above the peak. MB: operands and results, each once. A call that computes several\n"
        "operations is in the line of the convolution, or of the last of them. waiting: for other\n"
        "threads, and for inputs to be copied.",
        dim=True,
    )


def _cells(line: ProfileRow, found: Profile) -> tuple[str, ...]:
    flops, share = line.flops, line.flops / found.peak
    computes = (f"{flops / 1e9:.1f}", f"{share:.0%}") if line.macs else ("", "")
    return (
        f"{1e3 * line.seconds:.2f}", *computes, f"{line.bytes / 1e6:.1f}", f"{line.bandwidth / 1e9:.1f}",
        f"{found.share(line.seconds):.1%}",
    )  # fmt: skip


def _shown(layer: str, most: int = 26) -> str:
    """A layer's path, without its middle where it is long."""
    if len(layer) > most:
        layer = f"{layer[: most // 3]}…{layer[-(most - most // 3 - 1) :]}"
    return layer or "(network)"


# -- as data and as an image -------------------------------------------------------------------


def _data(title: str, batch: int, found: Profile) -> dict[str, Any]:
    return {
        "title": title, "batch": batch, "threads": found.threads, "runs": found.runs, "seconds": found.total,
        "waiting": found.waiting, "peak_flops": found.peak, "memory_bandwidth": found.bandwidth,
        "calls": [
            {**asdict(line), "flops": line.flops, "bytes_a_second": line.bandwidth, "share": found.share(line.seconds)}
            for line in found.lines
        ],
    }  # fmt: skip


def tree(found: Profile, name: str) -> IcicleBar:
    """The step, its directions, in each the layers as they lie in each other, and their calls."""
    root = IcicleBar(name)
    for direction in PASSES:
        lines = [line for line in found.lines if (line.direction or FPROP) == direction]
        if lines:
            _plant(root.inner(direction, direction), direction, lines, found)
    root.parts[WAITING] = IcicleBar(WAITING, WAITING, found.waiting, "for other threads, and for inputs to be copied")
    return root


def _plant(top: IcicleBar, direction: str, lines: Sequence[ProfileRow], found: Profile) -> None:
    for number, line in enumerate(lines):
        part = top
        for step in line.layer.split(".") if line.layer else ():
            part = part.inner(step, direction)
        with_ = f" with {', '.join(line.fused)}" if line.fused else ""
        notes = [f"{line.operation}{with_}", f"{line.bytes / 1e6:.2f} MB, {line.bandwidth / 1e9:.1f} GB/s"]
        if line.macs:
            notes.append(f"{line.flops / 1e9:.1f} GF/s, {line.flops / found.peak:.0%} of the peak")
        # A key of its own: a layer may call the same kernel more than once.
        part.parts[f"{number} {line.algorithm}"] = IcicleBar(line.algorithm, direction, line.seconds, "\n".join(notes))
