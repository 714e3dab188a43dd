"""`opsin similar`: the images of a folder that are most like an image."""

from __future__ import annotations

import typer

from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import StatusLine, print_json, table
from opsin.exploration.similar import similar


def run(image: str, folder: str, model: str | None, top: int, cache: bool, as_json: bool) -> int:
    """Print the similarity and the file of each image, the most similar first."""
    with StatusLine() as line:
        network = None if model is None else open_model(model)
        found = similar(
            image, folder, model=network, top=top, cache=cache, on_progress=lambda text: line.show(f"{text} …")
        )
    if as_json:
        print_json([{"image": str(each.file), "similarity": each.similarity} for each in found])
        return 0
    for text in table([(f"{each.similarity:.3f}", str(each.file)) for each in found], left=(1,)) if found else ():
        typer.echo(text)
    return 0
