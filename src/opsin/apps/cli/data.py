"""`opsin data …`: what the commands about images are called and what they take. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.lazy import command

app = typer.Typer(
    name="data",
    help="Look at images before training on them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="Labelled images, as `opsin train` takes them.", show_default=False)
]
PixelRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="BLACK WHITE",
        show_default="by all images",
        help="The values that become black and white in images of more than 8 bits, such as 0 4095.",
    ),
]


@app.callback()
def data() -> None:
    pass


@app.command()
def check(
    data: Data,
    size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="by the images", help="Read the images as squares of N × N."),
    ] = None,
    cache_size: Annotated[
        str,
        typer.Option(metavar="SIZE", help="What decoded images may take on disk, of all data sets: 500MB, 5GB, 0."),
    ] = "5GB",
    pixel_range: PixelRange = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the whole receipt, every file by its name, to FILE.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole receipt as JSON.")] = False,
) -> int:
    """Read every image once and say what is wrong: unreadable files, duplicates, leaks, classes too small."""
    return command("check")(data, size, cache_size, pixel_range, out, json)


@app.command()
def show(
    data: Data,
    augment: Annotated[
        str, typer.Option(metavar="LEVEL", help="How much is changed in training: none, light or strong.")
    ] = "light",
    size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="by the images", help="Read the images as squares of N × N."),
    ] = None,
    pixel_range: PixelRange = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE.png", show_default="DATA-contact-sheet.png", help="Where the sheet is saved."),
    ] = None,
) -> int:
    """Draw a contact sheet: an image of each class, and what training makes of it for the network."""
    return command("show")(data, augment, size, pixel_range, out)
