"""The arguments of `opsin ship`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import ModelFile
from opsin.apps.cli.lazy import command


def ship(
    model: ModelFile,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="The format: web (a page), js (a module).")],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", show_default="the model's name, here", help="The file or folder to write, as the format is."
        ),
    ] = None,
) -> int:
    """Export a model, with its preprocessing, as files that are used without Opsin."""
    return command("ship")(model, to, out, {})
