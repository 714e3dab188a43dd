"""The command line: the list of commands, and how they end.

Nothing heavy is imported here. The module of a command is loaded when the command is called.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from opsin import __version__
from opsin.apps.cli.arguments import bench, data, explore, faces, gallery, inspect, serve, ship, train, use
from opsin.apps.cli.arguments.renamed import Command
from opsin.apps.cli.output import INTERRUPTED, print_error, print_warning
from opsin.apps.cli.streams import OutputLost, prepare
from opsin.apps.cli.terminal import discard_invalid_sizes, is_plain, is_wide
from opsin.base.errors import OpsinError

BROKEN_PIPE = 141
"""The exit code when the reader of the output has gone: 128 + the number of SIGPIPE, as in shells."""


class CommandGroups(TyperGroup):
    """The commands of `opsin`, those on data first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help. Typer itself puts groups of commands last."""
        return sorted(super().list_commands(ctx), key=lambda name: name != "data")


app = typer.Typer(
    name="opsin",
    cls=CommandGroups,
    help="Train, inspect and run convolutional networks on the computer you have, without a GPU.",
    epilog="Start with: opsin train digits",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


GROUPS: dict[str, tuple[Callable[..., int], ...]] = {
    "Train": (train.train, train.runs),
    "Inspect": (use.see, explore.explore, explore.similar, inspect.describe, inspect.profile),
    "Use": (use.predict, use.evaluate, gallery.identify, faces.faces, ship.ship, serve.serve),
    "Machine": (inspect.tune, bench.bench),
}
"""The commands in the groups of `opsin --help`."""

app.add_typer(data.app, rich_help_panel="Data")
app.add_typer(gallery.app, rich_help_panel="Use")
for group, functions in GROUPS.items():
    for function in functions:
        app.command(cls=Command, rich_help_panel=group)(function)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"opsin {__version__}")
        raise typer.Exit


@app.callback()
def opsin(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code: 0, 1 if it fails, 2 if the request makes no sense."""
    discard_invalid_sizes()
    app.rich_markup_mode = "rich" if is_wide() else None
    try:
        code = app(arguments, prog_name="opsin", standalone_mode=False, color=False if is_plain() else None)
    except typer.TyperException as error:
        if not error.format_message():  # `opsin` alone, which has shown its help
            return 0
        command = getattr(getattr(error, "ctx", None), "command_path", "opsin")
        print_error(f"{error.format_message()}\n`{command} --help` shows what it takes.")
        return error.exit_code
    except OpsinError as error:
        print_error(str(error))
        return error.exit_code
    except MemoryError:
        print_error("there is not enough memory; try a smaller batch, or smaller images")
        return 1
    if code == INTERRUPTED:
        print_error("interrupted")
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the console script."""
    prepare()
    warnings.showwarning = lambda message, *_: print_warning(str(message))  # the text without source lines
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except OutputLost as lost:
        code = BROKEN_PIPE if lost.quiet else 1
        if not lost.quiet:
            print_error(f"the output cannot be written: {lost}; free some space, or send it elsewhere")
    except KeyboardInterrupt:
        code = INTERRUPTED
        print_error("interrupted")
    sys.exit(code)
