"""Print results, tables and messages, in one style for all commands."""

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
"""The exit code of a command that Ctrl-C stopped before it had a result: 128 + the number of SIGINT, as in shells."""

COLUMN_GAP = "   "


def print_error(text: str) -> None:
    """Print an error on standard error, on a terminal with a red label."""
    print_labelled("Error: ", "red", text)


def print_warning(text: str) -> None:
    """Print a warning on standard error, on a terminal with a yellow label."""
    print_labelled("Warning: ", "yellow", text)


def print_labelled(label: str, color: str, text: str) -> None:
    """Print a message on standard error, on a terminal with a coloured label."""
    typer.secho(label, fg=color, bold=True, err=True, nl=False, color=False if is_plain() else None)
    typer.echo(text, err=True)


def print_heading(text: str, details: str = "") -> None:
    """Print a line that starts with bold `text` on a terminal."""
    typer.secho(text, bold=True, nl=False)
    typer.echo(details)


def print_json(data: object) -> None:
    """Print `data` as JSON. Characters that standard output cannot encode become JSON escapes."""
    data = with_old_keys(data)
    _print_dump(data, indent=2)


def print_json_line(data: object) -> None:
    """Print `data` as JSON in one line (JSON Lines), at once."""
    _print_dump(data, indent=None)


def _print_dump(data: object, indent: int | None) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, indent=indent)
    typer.echo(text)


def table(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Return lines with aligned columns: the columns in `left` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return COLUMN_GAP.join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(cells)).rstrip()

    return [line(row) for row in rows]


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> None:
    """Print a table under its heads."""
    head, *lines = table([heads, *rows], left)
    typer.secho(head, dim=True)
    for line in lines:
        typer.echo(line)


class StatusLine:
    """A line of progress on standard error that is overwritten by the next one, and disappears at the end.

    It is shown on terminals only.
    """

    def __init__(self) -> None:
        self._width = 0

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Replace the line by `text`."""
        if is_live(sys.stderr):
            typer.echo(f"\r{' ' * self._width}\r{text}", nl=False, err=True)
            self._width = len(text)


def write_file(path: str, content: str | bytes) -> None:
    """Write a file completely or not at all, text as UTF-8. Raise `UsageError` if it cannot be written."""
    try:
        atomic_write(path, content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file") from None
