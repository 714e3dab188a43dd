"""`opsin runs`: list training runs, or compare two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from opsin.apps.cli.output import print_json, print_table
from opsin.base.errors import UsageError
from opsin.runs.listing import INTERRUPTED, Summary, differences, summaries, summary
from opsin.runs.run import CONFIG
from opsin.tasks.score import ACCURACY, metric_value, readable

HEADS = ("data", "network", "state", "epochs", "validation", "test", "minutes")

MAX_VALUE = 32
"""Characters of a value in a comparison. --json has all of it."""


def run(folders: Sequence[str], as_json: bool) -> int:
    """List the runs in a folder, or compare two."""
    paths = [Path(folder) for folder in folders]
    if len(paths) > 2:
        raise UsageError(f"`opsin runs` compares two runs, not {len(paths)}; give two of their folders")
    if len(paths) == 2:
        return _compare(paths[0], paths[1], as_json)
    is_run = bool(paths) and (paths[0] / CONFIG).exists()
    runs = [summary(paths[0])] if is_run else summaries(paths[0] if paths else None)
    if as_json:
        print_json([_data(each) for each in runs])
        return 0
    if not runs:
        typer.echo(f"There are no runs in {paths[0] if paths else 'runs/'}; `opsin train DATA` makes one.")
        return 0
    print_table(("run", *HEADS), [(str(each.folder), *_cells(each)) for each in runs], left=(0, 1, 2, 3))
    interrupted = [each for each in runs if each.state == INTERRUPTED]
    if interrupted:
        typer.secho(f"\nTo continue the interrupted run: opsin train --resume {interrupted[-1].folder}", dim=True)
    return 0


def _cells(each: Summary) -> tuple[str, ...]:
    return (
        each.data, each.network, each.state, f"{each.epochs}/{each.planned}", _value(each, each.validation),
        _value(each, each.test), f"{each.seconds / 60:.1f}",
    )  # fmt: skip


def _compare(first: Path, second: Path, as_json: bool) -> int:
    """Print the results of two runs next to each other, and the options that differ."""
    runs, options = [summary(first), summary(second)], differences(first, second)
    if as_json:
        print_json({"runs": [_data(each) for each in runs], "differences": options})
        return 0
    results = list(zip(HEADS, _cells(runs[0]), _cells(runs[1]), strict=True))
    print_table(("", str(first), str(second)), results, left=(0, 1, 2))
    typer.echo()
    if options:
        rows = [(name, _shortened(one), _shortened(other)) for name, one, other in options]
        print_table(("different options", "", ""), rows, left=(0, 1, 2))
    else:
        typer.echo("Both runs have the same options.")
    return 0


def _data(each: Summary) -> dict[str, object]:
    return {**asdict(each), "folder": str(each.folder)}


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _value(each: Summary, value: float | None) -> str:
    """Return a result as text, with the metric if it is not the accuracy."""
    if value is None:
        return "–"
    metric = "" if each.metric == ACCURACY else f"{readable(each.metric)} "
    return f"{metric}{metric_value(each.metric, value)}"
