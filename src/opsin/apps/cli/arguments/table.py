"""The table of the options of `opsin train` in `docs/training.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_type_hints

from opsin.apps.cli.arguments.signature import flags
from opsin.apps.cli.arguments.train import CommandOptions
from opsin.base.option_fields import declared_options


def option_table() -> str:
    """Return a Markdown table of all options, in the groups and the order of the help."""
    return "\n".join(("| option | meaning | default |", "|---|---|---|", *_rows())) + "\n"


def _rows() -> Iterator[str]:
    hints = get_type_hints(CommandOptions)
    declared = list(declared_options(CommandOptions))
    for group in dict.fromkeys(option.group for _, _, option in declared):
        yield f"| **{group}** | | |"
        for name, default, option in declared:
            if option.group == group:
                names = " ".join(filter(None, (flags(name, hints[name], default, option), option.metavar)))
                yield f"| `{names}` | {option.help} | {option.shown_default or _default(default)} |"


def _default(value: object) -> str:
    """Return a default in words; an empty text if the option is off, or Opsin chooses."""
    if value is None or value is False:
        return ""
    return "on" if value is True else str(value)
