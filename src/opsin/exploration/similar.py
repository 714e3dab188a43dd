"""`opsin.similar`: the images of a folder that are most like an image."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.data.sources.unlabelled import open_unlabelled
from opsin.exploration.extractor import open_extractor
from opsin.exploration.folder import read_folder, unit_rows
from opsin.ir.arguments import path as sound_path
from opsin.ir.arguments import whole
from opsin.model import Model
from opsin.model.inputs import read_images

TOP = 10
"""Images that are returned if no number is given."""


@dataclass(frozen=True)
class SimilarImage:
    """An image of a folder: its name, which is its path in the folder, its file, and the cosine of the features."""

    name: str
    file: Path
    similarity: float

    def __str__(self) -> str:
        return f"{self.file} ({self.similarity:.3f})"


def similar(
    image: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    model: Model | None = None,
    top: int = TOP,
    cache: bool = True,
    on_progress: Callable[[str], None] | None = None,
) -> list[SimilarImage]:
    """Return the `top` images of a folder and its subfolders that are most like `image`, the most similar first.

    They are compared by the cosine of the features of `model`, by default EfficientNet-Lite0 with published weights.
    The file `image` itself is left out, its copies are not. Files that cannot be read are left out. With `cache`,
    decoded images and features are kept in the cache folder. `on_progress` is called with the name of each part of the
    work. Raise `DataError` if an image or the folder cannot be read, and `UsageError` if there are no features.
    """
    count = whole("top, the number of similar images,", top, minimum=1)
    query, place = Path(sound_path("the image", image)), Path(sound_path("the folder", folder))
    source, extractor = open_unlabelled(place), open_extractor(model)
    pixels, _ = read_images([query], extractor.preprocessing)
    images = read_folder(source, extractor, cache, on_progress or (lambda text: None))
    vector = unit_rows(extractor.compute(pixels, np.zeros(1, np.intp)))[0]
    similarities = images.features @ vector
    order = np.argsort(-similarities, kind="stable")[: count + 1].tolist()
    found = [SimilarImage(images.names[n], images.file(n), float(similarities[n])) for n in order]
    itself = os.path.realpath(query)
    return [each for each in found if os.path.realpath(each.file) != itself][:count]
