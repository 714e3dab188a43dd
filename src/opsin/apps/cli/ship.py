"""`opsin ship`: a model as files that are used without Opsin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

import opsin
from opsin.apps.cli.arithmetic import Arithmetic, ArithmeticOptions
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import StatusLine, print_warning
from opsin.base.formatting import exact_size
from opsin.export.api import check_target
from opsin.export.precision import FLOAT32, export_precision
from opsin.export.registry import check_options, find


def run(name: str, to: str, out: str | None, arithmetic: ArithmeticOptions, options: Mapping[str, Any]) -> int:
    """Export a model, and say where the files are; options that were not given are None."""
    form = find(to)
    settings = Arithmetic(*arithmetic)
    given = {key: value for key, value in options.items() if value is not None}
    if settings.precision != FLOAT32:
        given["precision"] = export_precision(settings.precision)
    check_options(form, given)
    settings.checked()
    if out is not None:
        check_target(form, Path(out))
    with StatusLine() as line:
        line.show("model …")
        model = open_model(name)
        settings.apply(model)
        if warning := form.warning(model, **given):
            line.show("")
            print_warning(warning)
        line.show(f"{form.contents} …")
        export = opsin.ship(model, to, **given)
        path = export.save(out)
    size = exact_size(export.size)
    if form.suffix:
        typer.echo(f"{path} is {form.contents}, {size}.")
    else:
        typer.echo(f"{path} is {form.contents}: {len(export.files)} files, {size}.")
        for file, content in export.files.items():
            typer.echo(f"  {file}  {exact_size(len(content))}")
    if export.summary:
        typer.echo(export.summary)
    return 0
