"""Training on features: what frozen layers give is computed once, and each epoch runs only what comes after them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import Program
from opsin.base import random_counter
from opsin.base.errors import TrainingError
from opsin.data import Batches, LabeledImages, store
from opsin.ir import Graph, last_static_cut_point, prefix, suffix
from opsin.model import Engine, Evaluation, Model
from opsin.model.calibration import softmax
from opsin.training.state import State

BATCH = 16
"""Images of which features are computed at a time; activations of more would only leave the cache."""

IN_MEMORY = 2**28
"""Bytes of features up to which they are kept in memory, and beyond on disk."""

LARGEST = float(np.finfo(np.float16).max)

Floats = NDArray[np.float32]
Step = tuple[NDArray[Any], NDArray[Any]]


class FeatureExtractor:
    """The frozen part of a network, compiled: from images float32 N × C × H × W to features float32 N × …"""

    def __init__(self, graph: Graph, state: State, engine: Engine, threads: int | None) -> None:
        self.program: Program = engine(graph, BATCH, threads)
        self.program.load_state({name: state[name] for name in graph.variables})
        self.shape = tuple(int(str(size)) for size in graph.outputs["features"].shape[1:])

    def __call__(self, images: Floats) -> Floats:
        """The features of any number of images; those of one do not depend on the others."""
        found = np.empty((len(images), *self.shape), np.float32)
        for first in range(0, len(images), BATCH):
            part = images[first : first + BATCH]
            full = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
            found[first : first + len(part)] = self.program.run(inputs=full)["features"][: len(part)]
        return found


class FeatureCache:
    """Batches of features, for the stage that begins after epoch `first` of the run.

    Each image is seen in `views` views, the first epochs of `source`. In these epochs features are computed as they
    are needed, in the source's order; later ones shuffle what is known already, a view an epoch in turn. An epoch is a
    function of its number alone: what is missing, because a run was resumed, is computed again.
    """

    def __init__(self, trunk: FeatureExtractor, source: Batches, views: int, first: int) -> None:
        self.trunk, self.source, self.first = trunk, source, first
        self.views = [_View(source, number + 1, buffer) for number, buffer in enumerate(_shelves(source, trunk, views))]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def waited(self) -> float:
        """Seconds in which features waited for images."""
        return self.source.waited

    def epoch(self, number: int, start: int = 0) -> Iterator[Step]:
        """The batches of epoch `number` of the run, from batch `start` on."""
        turn = number - self.first - 1
        view = self.views[turn % len(self.views)]
        if turn < len(self.views):
            yield from view.fill(self.trunk, start)
            return
        if not view.full:
            for _ in view.fill(self.trunk, 0):
                pass
        order = self._order(number)
        for first in range(start * self.source.size, len(order), self.source.size):
            yield view.rows(order[first : first + self.source.size])

    def images(self, number: int, step: int) -> NDArray[np.intp]:
        """The numbers of the images in step `step` (from 0) of epoch `number`."""
        turn, size = number - self.first - 1, self.source.size
        rows = np.arange(len(self) * size) if turn < len(self.views) else self._order(number)
        count = len(self.source.images)
        known = random_counter.order(count, self.source.seed, random_counter.SHUFFLE, turn % len(self.views) + 1)
        return np.resize(known, len(self) * size)[rows[step * size : (step + 1) * size]]

    def _order(self, number: int) -> NDArray[np.intp]:
        """All rows of a view in the order of an epoch; the last batch is filled up with the first."""
        found = random_counter.order(len(self.source.images), self.source.seed, random_counter.SHUFFLE, number)
        return np.resize(found, len(self) * self.source.size)


class _View:
    """The features of epoch `number` of `source`, a row an image in that epoch's order."""

    def __init__(self, source: Batches, number: int, buffer: NDArray[np.float16]) -> None:
        self.source, self.number, self.shelf = source, number, buffer
        self.targets: NDArray[Any] | None = None
        self.known: set[int] = set()

    @property
    def full(self) -> bool:
        return len(self.known) == len(self.source)

    def rows(self, chosen: NDArray[np.intp]) -> Step:
        assert self.targets is not None
        return self.shelf[chosen].astype(np.float32), self.targets[chosen]

    def fill(self, trunk: FeatureExtractor, start: int) -> Iterator[Step]:
        """All batches from `start` on; computes those that are not known."""
        batches: Iterator[Step] | None = None
        try:
            for step in range(start, len(self.source)):
                if step in self.known:
                    _close(batches)
                    batches = None
                else:
                    batches = batches or self.source.epoch(self.number, step)
                    self._keep(step, trunk, *next(batches))
                yield self.rows(np.arange(step * self.source.size, (step + 1) * self.source.size))
        finally:
            _close(batches)

    def _keep(self, step: int, trunk: FeatureExtractor, images: Floats, targets: NDArray[Any]) -> None:
        if self.targets is None:
            self.targets = np.empty((len(self.shelf), *targets.shape[1:]), targets.dtype)
        rows = slice(step * self.source.size, (step + 1) * self.source.size)
        self.shelf[rows] = np.clip(trunk(images), -LARGEST, LARGEST)
        self.targets[rows] = targets
        self.known.add(step)


class FeatureScore:
    """Measures states of a network on `images`, of which the frozen part is computed once.

    `graph` is the network's, traced with those layers frozen.
    """

    def __init__(self, graph: Graph, model: Model, images: LabeledImages, state: State) -> None:
        gate = last_static_cut_point(graph, "logits")
        assert gate is not None  # what a step was cut at is there in prediction, too
        self.model, self.images = model, images
        self.trunk = FeatureExtractor(prefix(graph, gate, "features"), state, model.engine, model.threads)
        self.rest = model.engine(suffix(graph, gate), BATCH, model.threads)
        self.known: NDArray[np.float16] | None = None

    def __call__(self, state: State) -> Evaluation:
        self.rest.load_state({name: state[name] for name in self.rest.graph.variables})
        features = self._features() if self.known is None else self.known
        logits = [self._logits(features[first : first + BATCH]) for first in range(0, len(features), BATCH)]
        return Evaluation.of(softmax(np.concatenate(logits)), self.images.labels, self.model.labels)

    def _features(self) -> NDArray[np.float16]:
        self.known = _shelf(len(self.images), self.trunk.shape)
        for first in range(0, len(self.known), BATCH):
            pixels = self.images.pixels[first : first + BATCH]
            found = self.trunk(self.model.preprocessing.apply(pixels))
            self.known[first : first + BATCH] = np.clip(found, -LARGEST, LARGEST)
        return self.known

    def _logits(self, part: NDArray[np.float16]) -> Floats:
        full = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)]).astype(np.float32)
        found: Floats = self.rest.run(inputs=full)["logits"][: len(part)]
        return found


def bytes_of(images: int, features: int, views: int) -> int:
    """What the features of so many images take."""
    return 2 * images * features * views


def _shelves(source: Batches, trunk: FeatureExtractor, views: int) -> NDArray[np.float16]:
    """Room for all views, in memory or on disk: views × rows × features."""
    return _shelf(views * len(source) * source.size, trunk.shape).reshape(views, -1, *trunk.shape)


def _shelf(rows: int, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """Room for features; in half precision, which is far finer than what a network makes of them."""
    size = bytes_of(rows, int(np.prod(shape)), 1)
    if size <= IN_MEMORY:
        return np.empty((rows, *shape), np.float16)
    folder = store.store_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # has no name, and goes when it is used no more
            _reserve(file.fileno(), size)
            return np.memmap(file, np.float16, "r+", shape=(rows, *shape))
    except OSError as error:
        raise TrainingError(
            f"{_nearest(folder)} has no room for the features of the images, {size / 1e9:.1f} GB "
            f"({error.strerror}); free some, or set OPSIN_CACHE to another folder"
        ) from None


def _reserve(file: int, size: int) -> None:
    """Takes the room on the disk now: later there would be no error, but a crash."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


def _nearest(folder: Path) -> Path:
    return folder if folder.exists() else folder.parent


def _close(batches: Iterator[Step] | None) -> None:
    if isinstance(batches, Generator):
        batches.close()
