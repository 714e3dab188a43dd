"""Options under the names that they had in Opsin 0.1.0: accepted for one release, with a note on standard error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

RENAMED = {
    "--exact": "--no-winograd",
    "--forget": "--clear",
    "--mirrored": "--tta",
    "--plan-only": "--dry-run",
    "--smoothing": "--label-smoothing",
}
"""Old names of options, and the current ones."""


class Command(TyperCommand):
    """A command that also accepts the old names of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Replace old names before the arguments are parsed."""
        known = {name for each in self.params for name in (*each.opts, *each.secondary_opts)}
        return super().parse_args(ctx, list(_current(args, known)))


def _current(arguments: Sequence[str], known: set[str]) -> Iterator[str]:
    """Yield the arguments with current names, if the command has an option of that name."""
    names = True
    for argument in arguments:
        names = names and argument != "--"
        old, equals, value = argument.partition("=")
        new = RENAMED.get(old, "")
        if names and new in known and old not in known:
            typer.echo(f"Note: {old} is now {new}; the old name will be removed in the next release.", err=True)
            argument = f"{new}{equals}{value}"
        yield argument
