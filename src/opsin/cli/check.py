"""`opsin data check`: the receipt of an intake."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from opsin.cli.output import print_heading, write_aside
from opsin.cli.sizes import parse_bytes
from opsin.data import load


def run(data: str, size: int | None, cache_size: str, out: str | None, as_json: bool) -> int:
    """Prints a screenful, or everything as JSON, and writes the whole receipt where that is asked for."""
    shown = Line() if sys.stderr.isatty() else None
    receipt = load(data, size=size, cache_size=parse_bytes(cache_size), on_progress=shown).receipt
    if shown:
        shown.clear()
    assert receipt is not None  # `load` always gives one
    as_data = json.dumps(receipt.to_data(), indent=2, ensure_ascii=False)
    if out:
        write_aside(out, (as_data if Path(out).suffix == ".json" else receipt.text(full=True)) + "\n")
    if as_json:
        typer.echo(as_data)
        return 0
    first, _, rest = receipt.text().partition(":")
    print_heading(first, f":{rest}")
    if out:
        typer.echo(f"\nEvery file by its name is in {out}.")
    return 0


class Line:
    """How far the reading is, in a line on standard error that is written over itself."""

    def __init__(self) -> None:
        self.width = 0

    def __call__(self, done: int, total: int) -> None:
        text = f"{done:,} of {total:,} pictures read"
        typer.echo(f"\r{text}", nl=False, err=True)
        self.width = len(text)

    def clear(self) -> None:
        typer.echo(f"\r{' ' * self.width}\r", nl=False, err=True)
