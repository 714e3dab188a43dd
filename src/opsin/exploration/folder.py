"""The images of a folder with their features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.ingest.decode_settings import DecodeSettings
from opsin.data.ingest.scan import scan
from opsin.data.items import FileProblem
from opsin.data.pixels import Pixels
from opsin.data.preprocessing import Inverted
from opsin.data.sources.folder import Files
from opsin.data.store import CACHE_SIZE
from opsin.explain.features import Floats, PenultimateFeatures
from opsin.exploration.feature_cache import FeatureCache

Progress = Callable[[str], None]
"""Called with the name of each part of the work."""


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """N images of a folder: `names` are their paths in it, sorted.

    `pixels` are uint8 N×C×H×W as the network takes them, `sizes` heights and widths of the files (N×2), `digests` those
    of their content, `thumbnail_hashes` as in `opsin.data.ingest.thumbnail_hash`, and `features` float32 N×F with
    length 1. `problems` are the files that cannot be read.
    """

    folder: Path
    names: tuple[str, ...]
    paths: tuple[str, ...]
    """The names as the file system knows them, which may hold characters that cannot be printed."""
    pixels: Pixels
    sizes: NDArray[np.int32]
    digests: NDArray[np.uint8]
    thumbnail_hashes: NDArray[np.uint8]
    features: Floats
    problems: tuple[FileProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def file(self, number: int) -> Path:
        """Return the path of an image."""
        return self.folder / self.paths[number]


def read_folder(source: Files, extractor: PenultimateFeatures, cache: bool, progress: Progress) -> ImageFolder:
    """Read the images of a folder and its subfolders (see `open_unlabelled`), and compute their features.

    With `cache`, decoded images and features are kept in the cache folder. Raise `DataError` if no image can be read.
    """
    path, preprocessing = source.folder, extractor.preprocessing
    settings = DecodeSettings(preprocessing.shape, preprocessing.crop)
    key = f"images\0{path.resolve()}\0{settings.key}"

    def show(done: int, total: int) -> None:
        progress(f"{done:,} of {total:,} images read")

    result = scan(source, key, settings, False, CACHE_SIZE if cache else 0, show, preprocessing.pixel_range)
    index, usable = result.file_index, result.usable
    problems = (*source.problems, *(problem for _, problem in sorted(index.problems.items())))
    if not len(usable):
        raise DataError(
            f"{path}: none of its {len(source.items):,} images can be read; the first one, {problems[0].name}, is "
            f"{problems[0].reason}"
        )
    pixels = Inverted.invert(result.pixels) if preprocessing.dark_background else result.pixels
    digests = index.digests[usable]
    features = _features(extractor, pixels, digests, FeatureCache(extractor.fingerprint(), key) if cache else None,
                         progress)  # fmt: skip
    return ImageFolder(
        path, tuple(source.items[n].name for n in usable), tuple(source.paths[n] for n in usable), pixels,
        index.sizes[usable], digests, index.thumbnail_hashes[usable], unit_rows(features), problems,
    )  # fmt: skip


def _features(
    extractor: PenultimateFeatures,
    pixels: Pixels,
    digests: NDArray[np.uint8],
    cache: FeatureCache | None,
    progress: Progress,
) -> Floats:
    """Return the features of all images, from the cache as far as they are there.

    Those that were computed are written to the cache even if Ctrl-C ends the computation.
    """
    rows = cache.read(digests) if cache else [None] * len(digests)
    missing = np.array([number for number, row in enumerate(rows) if row is None], np.intp)
    done = 0
    try:
        for numbers, features in extractor.batches(pixels, missing):
            for number, row in zip(numbers.tolist(), features, strict=True):
                rows[number] = row
            done += len(numbers)
            progress(f"features of {done:,} of {len(missing):,} images")
    finally:
        if cache and done:
            known = [number for number, row in enumerate(rows) if row is not None]
            cache.write(digests[known], np.stack([row for row in rows if row is not None]))
        elif cache:
            cache.touch()
    return np.stack([row for row in rows if row is not None])


def unit_rows(features: Floats) -> Floats:
    """Return rows with length 1, so that their products are cosines; rows of zeros stay zeros."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1.0), np.float32)
