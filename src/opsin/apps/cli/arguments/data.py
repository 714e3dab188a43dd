"""The arguments of the commands of `opsin data`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.renamed import Command
from opsin.apps.cli.arguments.shared import CacheSize, Inputs, LabeledData, PixelRange, Side, Target, Task
from opsin.apps.cli.lazy import command

app = typer.Typer(
    name="data",
    help="Check and view images before training on them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def data() -> None:
    pass


@app.command(cls=Command)
def check(
    data: LabeledData,
    task: Task = None,
    target: Target = None,
    inputs: Inputs = None,
    size: Side = None,
    cache_size: CacheSize = None,
    pixel_range: PixelRange = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write the full receipt, with every file name, to FILE.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the full receipt as JSON.")] = False,
) -> int:
    """Read every image once and report problems: unreadable files, duplicates, leaks, classes that are too small."""
    return command("check_data")(data, task, target, inputs, size, cache_size, pixel_range, out, json)


@app.command(cls=Command)
def show(
    data: LabeledData,
    task: Task = None,
    target: Target = None,
    augment: Annotated[
        str, typer.Option(metavar="LEVEL", help="Level of random augmentation: none, light or strong.")
    ] = "light",
    size: Side = None,
    pixel_range: PixelRange = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE.png", show_default="DATA-contact-sheet.png", help="The file to write."),
    ] = None,
) -> int:
    """Draw a contact sheet: an image of each class, and random variants of it as training sees them."""
    return command("contact_sheet")(data, task, target, augment, size, pixel_range, out)
