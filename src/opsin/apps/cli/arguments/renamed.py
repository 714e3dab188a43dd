"""A command whose arguments are checked before it runs: none is empty, and options may have their old names.

The names that options had in Opsin 0.1.0 are accepted for one release, with a note on standard error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from opsin.base.errors import UsageError

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
        """Replace old names before the arguments are parsed. Raise `UsageError` if a value is empty."""
        option_names = {name for each in self.params for name in (*each.opts, *each.secondary_opts)}
        rest = super().parse_args(ctx, list(_replace_old_names(args, option_names)))
        for each in self.params:
            value = ctx.params.get(each.name)
            if value == "" or (isinstance(value, list | tuple) and "" in value):
                advice = "give one" if each.required else "give one, or leave it out"
                raise UsageError(f"{each.human_readable_name if each.required else each.opts[0]} is empty; {advice}")
        return rest


def _replace_old_names(arguments: Sequence[str], option_names: set[str]) -> Iterator[str]:
    """Yield the arguments with current names, if the command has an option of that name."""
    names = True
    for argument in arguments:
        names = names and argument != "--"
        old_name, equals, value = argument.partition("=")
        new_name = RENAMED.get(old_name, "")
        if names and new_name in option_names and old_name not in option_names:
            typer.echo(
                f"Note: {old_name} is now {new_name}; the old name will be removed in the next release.", err=True
            )
            argument = f"{new_name}{equals}{value}"
        yield argument
