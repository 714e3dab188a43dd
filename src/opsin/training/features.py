"""Training on features: the outputs of frozen layers are computed once; each epoch runs only the layers after them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import Program
from opsin.base import random_counter
from opsin.base.errors import TrainingError
from opsin.data import Batches, Samples, store
from opsin.data.batches import pad_rows
from opsin.ir import Graph, last_static_cut_point, prefix, suffix
from opsin.model import Engine, Model
from opsin.tasks.task import Evaluation
from opsin.training.state import State

BATCH = 16
"""The batch size for computing features; activations of larger batches would not fit into the processor's cache."""

MAX_BYTES_IN_MEMORY = 2**28
"""Features of up to this size are kept in memory, larger ones on disk."""

MAX_FLOAT16 = float(np.finfo(np.float16).max)

Floats = NDArray[np.float32]
Step = tuple[NDArray[Any], Mapping[str, NDArray[Any]]]
"""Features, and target arrays by name."""


class FeatureExtractor:
    """The frozen layers of a network, compiled: from images float32 N × C × H × W to features float32 N × …"""

    def __init__(self, graph: Graph, state: State, engine: Engine, threads: int | None) -> None:
        self.program: Program = engine(graph, BATCH, threads)
        self.program.load_state({name: state[name] for name in graph.variables})
        self.shape = tuple(int(str(size)) for size in graph.outputs["features"].shape[1:])

    def __call__(self, images: Floats) -> Floats:
        """Return the features of any number of images; those of one do not depend on the others."""
        features = np.empty((len(images), *self.shape), np.float32)
        for first in range(0, len(images), BATCH):
            batch = images[first : first + BATCH]
            outputs = self.program.run(inputs=pad_rows(batch, BATCH))
            features[first : first + len(batch)] = outputs["features"][: len(batch)]
        return features


class FeatureCache:
    """Batches of features, for a stage that begins after `earlier_epochs` epochs of the run.

    Each image has `views` views, as the first epochs of `source` show them. In these epochs features are computed when
    they are needed, in the source's order; later epochs shuffle the cached ones, one view each in turn. An epoch is a
    function of its number alone: features that are missing, because the run was resumed, are computed again.
    """

    def __init__(self, extractor: FeatureExtractor, source: Batches, views: int, earlier_epochs: int) -> None:
        self.extractor, self.source, self.earlier_epochs = extractor, source, earlier_epochs
        shape = (views, len(source) * source.size, *extractor.shape)
        buffers = allocate(shape[0] * shape[1], extractor.shape).reshape(shape)
        self.views = [_View(source, number, buffer) for number, buffer in enumerate(buffers, start=1)]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def waited(self) -> float:
        """Seconds in which feature extraction waited for images."""
        return self.source.waited

    def epoch(self, number: int, start: int = 0) -> Iterator[Step]:
        """Yield the batches of epoch `number` of the run, from batch `start` on."""
        stage_epoch = number - self.earlier_epochs - 1
        view = self.views[stage_epoch % len(self.views)]
        if stage_epoch < len(self.views):
            yield from view.fill(self.extractor, start)
            return
        if not view.complete:
            for _ in view.fill(self.extractor, 0):
                pass
        order = self._order(number)
        for first in range(start * self.source.size, len(order), self.source.size):
            yield view.rows(order[first : first + self.source.size])

    def image_numbers(self, number: int, step: int) -> NDArray[np.intp]:
        """Return the numbers of the images in step `step` (from 0) of epoch `number`."""
        stage_epoch, size = number - self.earlier_epochs - 1, self.source.size
        rows = np.arange(len(self) * size) if stage_epoch < len(self.views) else self._order(number)
        view_number = stage_epoch % len(self.views) + 1
        images = random_counter.order(len(self.source.images), self.source.seed, random_counter.SHUFFLE, view_number)
        return np.resize(images, len(self) * size)[rows[step * size : (step + 1) * size]]

    def _order(self, number: int) -> NDArray[np.intp]:
        """Return all rows of a view in the order of an epoch; the first ones again fill up the last batch."""
        order = random_counter.order(len(self.source.images), self.source.seed, random_counter.SHUFFLE, number)
        return np.resize(order, len(self) * self.source.size)


class _View:
    """The features of epoch `number` of `source`, one row an image, in that epoch's order."""

    def __init__(self, source: Batches, number: int, buffer: NDArray[np.float16]) -> None:
        self.source, self.number, self.buffer = source, number, buffer
        self.targets: dict[str, NDArray[Any]] = {}
        self.cached_steps: set[int] = set()

    @property
    def complete(self) -> bool:
        """Whether all features are cached."""
        return len(self.cached_steps) == len(self.source)

    def rows(self, numbers: NDArray[np.intp]) -> Step:
        """Return features and targets by the numbers of their rows."""
        return self.buffer[numbers].astype(np.float32), {name: each[numbers] for name, each in self.targets.items()}

    def fill(self, extractor: FeatureExtractor, start: int) -> Iterator[Step]:
        """Yield all batches from `start` on; compute those that are not cached."""
        batches: Iterator[Step] | None = None
        try:
            for step in range(start, len(self.source)):
                if step in self.cached_steps:
                    _close(batches)
                    batches = None
                else:
                    batches = batches or self.source.epoch(self.number, step)
                    self._add(step, extractor, *next(batches))
                yield self.rows(np.arange(step * self.source.size, (step + 1) * self.source.size))
        finally:
            _close(batches)

    def _add(self, step: int, extractor: FeatureExtractor, images: Floats, targets: Mapping[str, NDArray[Any]]) -> None:
        for name, array in targets.items():
            if name not in self.targets:
                self.targets[name] = np.empty((len(self.buffer), *array.shape[1:]), array.dtype)
        rows = slice(step * self.source.size, (step + 1) * self.source.size)
        self.buffer[rows] = np.clip(extractor(images), -MAX_FLOAT16, MAX_FLOAT16)
        for name, array in targets.items():
            self.targets[name][rows] = array
        self.cached_steps.add(step)


class FeatureScore:
    """Evaluates states of a network on `images`. Their features are computed once.

    `graph` is the network's, traced with the frozen layers.
    """

    def __init__(self, graph: Graph, model: Model, images: Samples, state: State) -> None:
        cut_point = last_static_cut_point(graph, "logits")
        assert cut_point is not None  # A step that is cut there has it in prediction, too.
        self.model, self.images = model, images
        self.extractor = FeatureExtractor(prefix(graph, cut_point, "features"), state, model.engine, model.threads)
        self.head = model.engine(suffix(graph, cut_point), BATCH, model.threads)
        self.features: NDArray[np.float16] | None = None

    def __call__(self, state: State) -> Evaluation:
        """Return the evaluation of the network's variables `state`."""
        self.head.load_state({name: state[name] for name in self.head.graph.variables})
        if self.features is None:
            self.features = self._extract()
        task, results = self.model.task, []
        for first in range(0, len(self.features), BATCH):
            rows = np.arange(first, min(first + BATCH, len(self.features)))
            outputs = self.head.run(inputs=pad_rows(self.features[rows], BATCH).astype(np.float32))
            targets = self.images.targets.take(rows)
            results.append(task.reduce({name: array[: len(rows)] for name, array in outputs.items()}, targets))
        evaluation: Evaluation = task.evaluate(results, None)
        return evaluation

    def _extract(self) -> NDArray[np.float16]:
        features = allocate(len(self.images), self.extractor.shape)
        for first in range(0, len(features), BATCH):
            pixels = self.images.pixels[first : first + BATCH]
            values = self.extractor(self.model.preprocessing.apply(pixels))
            features[first : first + BATCH] = np.clip(values, -MAX_FLOAT16, MAX_FLOAT16)
        return features


def feature_bytes(images: int, features: int, views: int) -> int:
    """Return the size of the cache for `features` numbers of each view of each image."""
    return 2 * images * features * views  # Half precision is much finer than a classifier's last layer needs.


def allocate(rows: int, shape: tuple[int, ...], dtype: type[np.floating[Any]] = np.float16) -> NDArray[Any]:
    """Return an array for features, in memory or on disk."""
    size = rows * int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= MAX_BYTES_IN_MEMORY:
        return np.empty((rows, *shape), dtype)
    folder = store.store_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # It has no name and is deleted with its last user.
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype, "r+", shape=(rows, *shape))
    except OSError as error:
        existing = folder if folder.exists() else folder.parent
        raise TrainingError(
            f"{existing} has no space for the features of the images, {size / 1e9:.1f} GB "
            f"({error.strerror}); free some, or set OPSIN_CACHE to another folder"
        ) from None


def _reserve(file: int, size: int) -> None:
    """Reserve the space on disk. Without that, a full disk would later crash the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


def _close(batches: Iterator[Step] | None) -> None:
    if isinstance(batches, Generator):
        batches.close()
