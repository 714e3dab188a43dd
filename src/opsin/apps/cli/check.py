"""`opsin data check`: the receipt of an intake."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from opsin.apps.cli.loading import read_to_see
from opsin.apps.cli.output import print_heading, print_json, write_aside


def run(
    data: str,
    size: int | None,
    cache_size: str,
    pixel_range: tuple[float, float] | None,
    out: str | None,
    as_json: bool,
) -> int:
    """Prints a screenful, or everything as JSON, and writes the whole receipt where that is asked for."""
    receipt = read_to_see(data, size, cache_size, pixel_range).receipt
    assert receipt is not None  # `load` always gives one
    as_data = json.dumps(receipt.to_data(), indent=2, ensure_ascii=False)
    if out:
        write_aside(out, (as_data if Path(out).suffix == ".json" else receipt.text(full=True)) + "\n")
    if as_json:
        print_json(receipt.to_data())
        return 0
    first, _, rest = receipt.text().partition(":")
    print_heading(first, f":{rest}")
    if out:
        typer.echo(f"\nEvery file by its name is in {out}.")
    return 0
