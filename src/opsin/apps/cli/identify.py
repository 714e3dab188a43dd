"""`opsin identify`: look for images in a gallery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from opsin.apps.cli.images import paths_of
from opsin.apps.cli.output import print_error, print_json, table
from opsin.base.errors import DataError, UsageError
from opsin.gallery import Gallery, Match, Search
from opsin.gallery.gallery import load_comparing
from opsin.model import Model


def run(gallery: str, images: Sequence[str], model: str | None, threshold: float | None, as_json: bool) -> int:
    """Print whom each image shows; files that cannot be read are reported after that, and the exit code is then 1."""
    path = Path(gallery)
    known = Gallery.read(path)
    network = load_comparing(known.find_model(path, model))
    least = _threshold(network, threshold)
    results = list(_matches(network, Search(known), [file for image in images for file in paths_of(image)], least))
    if as_json:
        print_json([_data(file, result) for file, result in results])
    else:
        rows = [(str(file), str(result)) for file, result in results if isinstance(result, Match)]
        for line in table(rows, left=(0, 1)):
            typer.echo(line)
    errors = [result for _, result in results if isinstance(result, DataError)]
    for error in errors:
        print_error(str(error))
    return 1 if errors else 0


def _threshold(model: Model, threshold: float | None) -> float:
    if threshold is not None:
        return threshold
    if model.calibration is None:
        raise UsageError(f"{model.name} has no threshold; give the least similarity of a known entry: --threshold 0.5")
    return float(model.calibration.threshold)


def _matches(
    model: Model, search: Search, files: Sequence[Path], threshold: float
) -> Iterator[tuple[Path, Match | DataError]]:
    for file in files:
        try:
            (answer,) = model.predict([file])
        except DataError as error:
            yield file, error
        else:
            yield file, search.nearest(answer.vector, threshold)


def _data(file: Path, result: Match | DataError) -> dict[str, Any]:
    if isinstance(result, DataError):
        return {"image": str(file), "error": str(result)}
    return {
        "image": str(file), "known": result.known, "name": result.name if result.known else None,
        "nearest": result.name, "similarity": result.similarity,
    }  # fmt: skip
