"""`opsin predict`: what a model sees in images."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from opsin.apps.cli.models import open_model
from opsin.apps.cli.output import percent, print_error, print_json, table
from opsin.base.errors import DataError
from opsin.data.file_io import MAX_IMAGE_BYTES
from opsin.data.sources import image_files
from opsin.model import Model, Prediction

DONT_KNOW = "don't know"

Result = tuple[str, "Prediction | DataError"]


def run(model: str, images: Sequence[str], as_json: bool, top: int) -> int:
    """Prints a line an image, with its `top` likeliest labels; "don't know" where the model is not sure enough.

    A file that cannot be read keeps no other from its answer; the exit code is then 1.
    """
    loaded = open_model(model)
    items = [item for image in images for item in _read(loaded, image)]
    results = _predict(loaded, items, top)
    if as_json:
        print_json([_data(name, result) for name, result in results])
    else:
        rows = [_row(name, result) for name, result in results if isinstance(result, Prediction)]
        for line in table(rows, left=(0, 1, 3)):
            typer.echo(line)
    failures = [result for _, result in results if isinstance(result, DataError)]
    for failure in failures:
        print_error(str(failure))
    return 1 if failures else 0


def _read(model: Model, image: str) -> Iterator[tuple[str, NDArray[np.uint8] | DataError]]:
    """The pixels of a file, of each file in a folder, or of standard input, or the reason why there are none."""
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
            yield name, model.preprocessing.read(_piped() if source is None else source, name)
        except DataError as error:
            yield name, error


def _piped() -> bytes:
    """What comes on standard input, up to a byte more than an image may have."""
    if sys.stdin is None:  # closed before the start
        raise DataError("standard input is closed; pipe an image into the command, or name a file instead of -")
    try:
        return sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise DataError(f"standard input cannot be read: {error.strerror}; name a file instead of -") from None


def _predict(model: Model, images: Sequence[tuple[str, NDArray[np.uint8] | DataError]], top: int) -> list[Result]:
    """The predictions in the images' places, all computed together."""
    predictions = iter(model.predict([pixels for _, pixels in images if isinstance(pixels, np.ndarray)], top=top))
    return [(name, item if isinstance(item, DataError) else next(predictions)) for name, item in images]


def _row(name: str, prediction: Prediction) -> tuple[str, ...]:
    if prediction.known is False:
        return name, DONT_KNOW, "", f"perhaps {_listed(prediction.ranked)}"
    rest = prediction.ranked[1:]
    return name, prediction.label, percent(prediction.probability), f"then {_listed(rest)}" if rest else ""


def _listed(ranked: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{label} ({percent(share)})" for label, share in ranked)


def _data(name: str, result: Prediction | DataError) -> dict[str, Any]:
    if isinstance(result, DataError):
        return {"image": name, "error": str(result)}
    ranked = [{"label": label, "probability": share} for label, share in result.ranked]
    known = {} if result.known is None else {"known": result.known}
    return {"image": name, "label": result.label, "probability": result.probability, **known, "ranked": ranked}
