"""`opsin predict`: classify images."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from opsin.apps.cli.lazy import command
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import print_error, print_json, table
from opsin.base.errors import DataError
from opsin.base.formatting import percent
from opsin.data.file_io import MAX_IMAGE_BYTES
from opsin.data.frames import is_video
from opsin.data.sources import image_files
from opsin.model import Model, Prediction

DONT_KNOW = "don't know"

Result = tuple[str, "Prediction | DataError"]


def run(
    name: str,
    images: Sequence[str],
    as_json: bool,
    top: int,
    out: str | None = None,
    follow: bool = False,
    idle: float | None = None,
) -> int:
    """Print a line per image with its `top` most likely labels, or "don't know" if the model is not sure enough.

    Files that cannot be read are reported after the predictions for the others. The exit code is then 1.
    """
    if follow or any(map(is_video, images)):
        return command("follow")(name, images, as_json, top, out, idle)
    model = open_model(name)
    inputs = [each for image in images for each in _read_images(model, image)]
    results = _predict(model, inputs, top)
    if as_json:
        print_json([_data(name, result) for name, result in results])
    else:
        rows = [_row(name, result) for name, result in results if isinstance(result, Prediction)]
        for line in table(rows, left=(0, 1, 3)):
            typer.echo(line)
    errors = [result for _, result in results if isinstance(result, DataError)]
    for error in errors:
        print_error(str(error))
    return 1 if errors else 0


def _read_images(model: Model, image: str) -> Iterator[tuple[str, NDArray[np.uint8] | DataError]]:
    """Yield the name and pixels, or the error, of a file, of each image in a folder, or of standard input."""
    if image == "-":
        sources: list[tuple[str, Path | None]] = [("standard input", None)]
    elif os.path.isdir(image):
        sources = [(str(path), path) for path in image_files(Path(image))]
        if not sources:
            yield image, DataError(f"{image}: there are no images in this folder")
    else:
        sources = [(image, Path(image))]
    for name, source in sources:
        try:
            yield name, model.preprocessing.read(_standard_input() if source is None else source, name)
        except DataError as error:
            yield name, error


def _standard_input() -> bytes:
    """Read standard input, at most one byte more than an image may have."""
    if sys.stdin is None:  # closed before the process started
        raise DataError("standard input is closed; pipe an image into the command, or name a file instead of -")
    try:
        return sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise DataError(f"standard input cannot be read: {error.strerror}; name a file instead of -") from None


def _predict(model: Model, inputs: Sequence[tuple[str, NDArray[np.uint8] | DataError]], top: int) -> list[Result]:
    """Return a prediction in place of each image, computed in batches."""
    predictions = iter(model.predict([pixels for _, pixels in inputs if isinstance(pixels, np.ndarray)], top=top))
    return [(name, each if isinstance(each, DataError) else next(predictions)) for name, each in inputs]


def _row(name: str, prediction: Prediction) -> tuple[str, ...]:
    if prediction.reliable is False:
        return name, DONT_KNOW, "", f"perhaps {_listed(prediction.ranking)}"
    runners_up = prediction.ranking[1:]
    return name, prediction.label, percent(prediction.probability), f"then {_listed(runners_up)}" if runners_up else ""


def _listed(ranked: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{label} ({percent(probability)})" for label, probability in ranked)


def _data(name: str, result: Prediction | DataError) -> dict[str, Any]:
    if isinstance(result, DataError):
        return {"image": name, "error": str(result)}
    ranked = [{"label": label, "probability": probability} for label, probability in result.ranking]
    reliability = {} if result.reliable is None else {"known": result.reliable}
    return {"image": name, "label": result.label, "probability": result.probability, **reliability, "ranked": ranked}
