"""The arguments of `opsin train` and `opsin runs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from opsin.apps.cli.arguments.shared import (
    CACHE_SIZE,
    CACHE_SIZE_HELP,
    INPUTS_DEFAULT,
    INPUTS_HELP,
    PIXEL_RANGE_DEFAULT,
    PIXEL_RANGE_HELP,
    TARGET_HELP,
    TASK_DEFAULT,
    TASK_HELP,
    Json,
)
from opsin.apps.cli.arguments.signature import option_name, with_options
from opsin.apps.cli.lazy import command
from opsin.base.errors import UsageError
from opsin.base.option_fields import (
    INPUT_OPTIONS_HELP,
    LEARNING_CURVE_HELP,
    MACHINE,
    MODEL,
    PLANNING,
    OptionFields,
    option,
)
from opsin.base.units import parse_bytes, parse_input_options

RUN, OUTPUT = "Run", "Output"
"""Groups of options in the help, after those of `option_fields`."""

RESUMABLE = {"resume", "threads", "report"}
"""The options that can be combined with --resume."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CommandOptions(OptionFields):
    """The options of training, and those that only the command has."""

    task: str | None = option(None, TASK_HELP, MODEL, "TASK", shown_default=TASK_DEFAULT)
    target: str | None = option(None, TARGET_HELP, MODEL, "COLUMN,…", shown_default="found by their values")
    inputs: str | None = option(None, INPUTS_HELP, MODEL, "COLUMN,…", shown_default=INPUTS_DEFAULT)
    pixel_range: tuple[float, float] | None = option(
        None, PIXEL_RANGE_HELP, MODEL, "BLACK WHITE", shown_default=PIXEL_RANGE_DEFAULT
    )
    input_options: Mapping[str, str] | None = option(
        None, INPUT_OPTIONS_HELP, MODEL, "NAME=VALUE,…", parse=parse_input_options
    )
    learning_curve: bool = option(False, LEARNING_CURVE_HELP, PLANNING)
    dry_run: bool = option(False, "Print the plan and exit.", PLANNING)
    run: str | None = option(None, "A new folder for the run.", RUN, "FOLDER", shown_default="runs/DATA-NUMBER")
    resume: str | None = option(None, "Continue the run in this folder, however it ended.", RUN, "RUN")
    checkpoint_minutes: float = option(
        5.0, "Time between two checkpoints; there is also one after each epoch.", RUN, "MINUTES", minimum=0
    )
    out: str | None = option(None, "Also save the model to this file.", OUTPUT, "FILE")
    report: bool = option(True, "Write a report about the model, an HTML page.", OUTPUT)
    see: bool = option(
        False, "Also write a page that shows the network at work on its mistakes, as `opsin see` does.", OUTPUT
    )
    replay: bool = option(
        False, "Also keep small snapshots of the network while it learns; `opsin see` plays them.", OUTPUT
    )
    tensorboard: bool = option(False, "Also write curves for TensorBoard.", OUTPUT)
    cache_size: int | None = option(None, CACHE_SIZE_HELP, MACHINE, "SIZE", shown_default=CACHE_SIZE, parse=parse_bytes)


@with_options(CommandOptions)
def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help="Labelled or annotated images: 'digits' (built in), a folder of class folders, or of images with "
            "boxes, masks or a table; a zip of it, a CSV, IDX, NPZ, …",
        ),
    ] = None,
    **options: Any,
) -> int:
    """Train a network on labelled or annotated images and save it as a model file.

    Opsin chooses the options that you leave out. Ctrl-C stops the training and keeps a model; --resume continues it.
    """
    if options["resume"]:
        _check_resumable(context)
    elif data is None:
        raise UsageError("Missing argument 'DATA'.\n`opsin train --help` shows what it takes.")
    return command("train")(data, CommandOptions(**options))


def runs(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER] | RUN RUN", help="A folder of runs, or two runs to compare.", show_default="runs"
        ),
    ] = None,
    json: Json = False,
) -> int:
    """List training runs, or compare two of them."""
    return command("runs")(folders or [], json)


def _check_resumable(context: typer.Context) -> None:
    """Raise `UsageError` if --resume is combined with an option that would change the run."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in RESUMABLE and source is not None and source.name == "COMMANDLINE":
            what = "DATA" if name == "data" else option_name(name)
            raise UsageError(f"a resumed run keeps its options; leave out {what}, or start a new run with it")
