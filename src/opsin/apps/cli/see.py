"""`opsin see`: what a network computes for images, as one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer

from opsin.apps.cli.images import paths_of, warn_about_frames
from opsin.apps.cli.load_data import load_for_model
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import StatusLine, print_warning
from opsin.base.errors import DataError
from opsin.base.formatting import exact_size
from opsin.inspection.api import check_data, inspect
from opsin.inspection.images import NamedImages, check_count
from opsin.inspection.page.target import check_name, check_target
from opsin.model import Model
from opsin.model.inputs import Sized
from opsin.model.samples import require_images
from opsin.tasks.explained_score import known


def run(name: str, images: Sequence[str], out: str, label: str | None, data: str | None, replay: str | None) -> int:
    """Write the page about a model and images to `out`, and say where it is."""
    check_name(out)
    check_target(Path(out))
    with StatusLine() as line:

        def show(text: str) -> None:
            line.show(f"{text} …")

        show("model")
        model = open_model(name)
        require_images(model, "opsin see")
        line.show("")
        named = _read(model, images)
        warn_about_frames(len(named.pixels), model.preprocessing)
        if label is not None:
            known(label, model.labels)
        dataset = None
        if data is not None:
            show("data")
            dataset = load_for_model(model, data)
            check_data(model, dataset)
        inspection = inspect(model, named, label=label, data=dataset, replay=replay, on_progress=show)
        inspection.save(out)
    for image in inspection.subject.images:
        typer.echo(f"{image.name}: {image.answer}")
    typer.echo(f"{out} is the page, {exact_size(os.path.getsize(out))}. Open it in a browser; it needs no network.")
    return 0


def _read(model: Model, images: Sequence[str]) -> NamedImages:
    """Read images, and all those in folders. There, files that cannot be read are left out, with a warning each.

    Raise `DataError` if a named file cannot be read, or no file of all folders.
    """
    found = [(path, os.path.isdir(image)) for image in images for path in paths_of(image)]
    check_count(len(found))
    paths, results, errors = list[Path](), list[Sized](), list[DataError]()
    for path, is_of_folder in found:
        try:
            results.append(model.preprocessing.read_with_size(path, str(path)))
            paths.append(path)
        except DataError as error:
            if not is_of_folder:
                raise
            errors.append(error)
    if not results:
        raise errors[0]
    for each in errors:
        print_warning(f"left out: {each}")
    return NamedImages(_names(paths), np.stack([pixels for pixels, _ in results]), [size for _, size in results])


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the names of files; their paths if two have the same name."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
