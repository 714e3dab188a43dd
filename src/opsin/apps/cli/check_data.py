"""`opsin data check`: read all images and print the receipt."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from opsin.apps.cli.load_data import load_as_trained, task_request
from opsin.apps.cli.output import print_heading, print_json, write_file


def run(
    data: str,
    task: str | None,
    target: str | None,
    inputs: str | None,
    size: int | None,
    cache_size: int | None,
    pixel_range: tuple[float, float] | None,
    out: str | None,
    as_json: bool,
) -> int:
    """Print a summary, or everything as JSON; with `out`, also write the full receipt to a file."""
    receipt = load_as_trained(data, size, cache_size, pixel_range, task_request(task, target, inputs)).receipt
    assert receipt is not None  # `load` always makes one
    if out:
        as_text = json.dumps(receipt.to_data(), indent=2, ensure_ascii=False)
        write_file(out, (as_text if Path(out).suffix == ".json" else receipt.text(full=True)) + "\n")
    if as_json:
        print_json(receipt.to_data())
        return 0
    name, _, summary = receipt.text().partition(":")
    print_heading(name, f":{summary}")
    if out:
        typer.echo(f"\n{out} lists every file by name.")
    return 0
