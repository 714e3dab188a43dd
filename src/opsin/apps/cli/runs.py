"""`opsin runs`: what has been trained here, and how two runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from opsin.apps.cli.output import print_json, print_table
from opsin.base.errors import UsageError
from opsin.base.formatting import percent
from opsin.runs.listing import INTERRUPTED, Summary, differences, summaries, summary
from opsin.runs.run import CONFIG

HEADS = ("data", "network", "state", "epochs", "validation", "test", "minutes")

CELL = 32
"""Characters of a value that is shown beside another; --json has all of it."""


def run(folders: Sequence[str], as_json: bool) -> int:
    """Lists the runs in a folder, or compares two."""
    paths = [Path(folder) for folder in folders]
    if len(paths) > 2:
        raise UsageError(f"`opsin runs` compares two runs, not {len(paths)}; give two of their folders")
    if len(paths) == 2:
        return _compare(paths[0], paths[1], as_json)
    one = bool(paths) and (paths[0] / CONFIG).exists()
    found = [summary(paths[0])] if one else summaries(paths[0] if paths else None)
    if as_json:
        _print_json(found)
        return 0
    if not found:
        typer.echo(f"There are no runs in {paths[0] if paths else 'runs/'}; `opsin train DATA` makes one.")
        return 0
    print_table(("run", *HEADS), [(str(each.folder), *_cells(each)) for each in found], left=(0, 1, 2, 3))
    unfinished = [each for each in found if each.state == INTERRUPTED]
    if unfinished:
        typer.secho(f"\nGo on with one that was interrupted: opsin train --resume {unfinished[-1].folder}", dim=True)
    return 0


def _cells(each: Summary) -> tuple[str, ...]:
    return (
        each.data, each.network, each.state, f"{each.epochs}/{each.planned}", _percent(each.validation),
        _percent(each.test), f"{each.seconds / 60:.1f}",
    )  # fmt: skip


def _compare(first: Path, second: Path, as_json: bool) -> int:
    runs, rows = [summary(first), summary(second)], differences(first, second)
    if as_json:
        print_json({"runs": [_data(each) for each in runs], "differences": rows})
        return 0
    results = list(zip(HEADS, _cells(runs[0]), _cells(runs[1]), strict=True))
    print_table(("", str(first), str(second)), results, left=(0, 1, 2))
    typer.echo()
    if rows:
        short = [(what, _short(ours), _short(theirs)) for what, ours, theirs in rows]
        print_table(("asked for differently", "", ""), short, left=(0, 1, 2))
    else:
        typer.echo("Both were asked for the same.")
    return 0


def _print_json(found: Sequence[Summary]) -> None:
    print_json([_data(each) for each in found])


def _data(each: Summary) -> dict[str, object]:
    return {**asdict(each), "folder": str(each.folder)}


def _short(text: str) -> str:
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share)
