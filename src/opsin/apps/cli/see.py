"""`opsin see`: what a network computes for images, as one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import typer

import opsin
from opsin.apps.cli.images import paths_of, warn_about_frames
from opsin.apps.cli.load_data import load_for_model
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import StatusLine
from opsin.base.errors import UsageError
from opsin.base.formatting import exact_size
from opsin.inspection.api import check_target


def run(name: str, images: Sequence[str], out: str, label: str | None, data: str | None, replay: str | None) -> int:
    """Write the page about a model and images to `out`, and say where it is."""
    if not out.lower().endswith((".html", ".htm")):
        raise UsageError(f"the page is an HTML file: call it {os.path.splitext(out)[0]}.html instead of {out}")
    check_target(Path(out))
    paths = [path for image in images for path in paths_of(image)]
    with StatusLine() as line:

        def show(text: str) -> None:
            line.show(f"{text} …")

        show("model")
        model = open_model(name)
        dataset = None if data is None else load_for_model(model, data)
        line.show("")
        warn_about_frames(len(paths), model.preprocessing)
        inspection = opsin.see(
            model, paths, names=_names(paths), label=label, data=dataset, replay=replay, on_progress=show
        )
        inspection.save(out)
    for image in inspection.subject.images:
        typer.echo(f"{image.name}: {image.answer}")
    typer.echo(f"{out} is the page, {exact_size(os.path.getsize(out))}. Open it in a browser; it needs no network.")
    return 0


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the names of files; their paths if two have the same name."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
