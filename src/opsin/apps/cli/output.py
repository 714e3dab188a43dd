"""What the commands print, in one style."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import typer

from opsin.apps.cli.terminal import is_live, is_plain
from opsin.base.atomic import atomic_write
from opsin.base.errors import UsageError
from opsin.base.legacy import with_old_keys

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended before it had a result: 128 + the signal's number, as shells have it."""

GAP = "   "


def print_error(text: str) -> None:
    """A message on standard error, its first word in red where that is a terminal."""
    typer.secho("Error: ", fg="red", bold=True, err=True, nl=False, color=False if is_plain() else None)
    typer.echo(text, err=True)


def print_warning(text: str) -> None:
    """A message on standard error about what does not stop the command."""
    typer.secho("Warning: ", fg="yellow", bold=True, err=True, nl=False, color=False if is_plain() else None)
    typer.echo(text, err=True)


def print_heading(text: str, rest: str = "") -> None:
    """A line that begins bold on a terminal."""
    typer.secho(text, bold=True, nl=False)
    typer.echo(rest)


def print_json(data: object) -> None:
    """`data` as JSON; what the encoding of standard output does not have is written as JSON's escapes."""
    data = with_old_keys(data)
    text = json.dumps(data, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, indent=2)
    typer.echo(text)


def table(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Lines of columns as wide as their widest cell: those numbered in `left` aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return GAP.join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(cells)).rstrip()

    return [line(row) for row in rows]


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> None:
    """A table under its (dim) heads."""
    first, *lines = table([heads, *rows], left)
    typer.secho(first, dim=True)
    for line in lines:
        typer.echo(line)


class PassingLine:
    """A line on standard error about how far something is, written over itself; it vanishes at the end.

    Only a terminal gets to see it.
    """

    def __init__(self) -> None:
        self._width = 0

    def __enter__(self) -> PassingLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.show("")

    def show(self, text: str) -> None:
        if is_live(sys.stderr):
            typer.echo(f"\r{' ' * self._width}\r{text}", nl=False, err=True)
            self._width = len(text)


def write_aside(path: str, content: str | bytes) -> None:
    """Writes a file, whole or not at all, text as UTF-8; `UsageError` where it cannot be written."""
    try:
        atomic_write(path, content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file") from None
