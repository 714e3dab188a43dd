"""Reading pictures as `opsin train` does, with a line that tells how far it is."""

from __future__ import annotations

import sys

import typer

from opsin.cli.sizes import parse_bytes
from opsin.data import Dataset, load
from opsin.data.sources import open_source
from opsin.training import choose
from opsin.training.facts import Facts
from opsin.training.wishes import Outline

CACHE_SIZE = "5GB"
"""What decoded pictures may take on disk, where nobody says."""


def read(source: str, outline: Outline, cache_size: str) -> Dataset:
    """The pictures of `source`, of the size and kind that `outline` says."""
    shown = Line() if sys.stderr.isatty() else None
    like, size = outline.preprocessing, outline.size
    data = load(source, like, size=None if like else size, cache_size=parse_bytes(cache_size), on_progress=shown)
    if shown:
        shown.clear()
    return data


def read_to_see(source: str, size: int | None, cache_size: str = CACHE_SIZE) -> Dataset:
    """The pictures as a training that has time enough would read them."""
    return read(source, choose.seen(Facts.of(open_source(source)), size), cache_size)


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
