"""Training on features: what frozen layers give is computed once, and each epoch runs only what comes after them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data import Batches, Pictures, counter, store
from opsin.engines.base import Program
from opsin.errors import TrainingError
from opsin.graph import Graph, after, before, settled_gate
from opsin.model import Engine, Evaluation, Model
from opsin.model.calibration import softmax
from opsin.training.memory import State

BATCH = 16
"""Pictures of which features are computed at a time; activations of more would only leave the cache."""

IN_MEMORY = 2**28
"""Bytes of features up to which they are kept in memory, and beyond on disk."""

LARGEST = float(np.finfo(np.float16).max)

Floats = NDArray[np.float32]
Step = tuple[NDArray[Any], NDArray[Any]]


class Trunk:
    """The frozen part of a network, compiled: from pictures float32 N × C × H × W to features float32 N × …"""

    def __init__(self, graph: Graph, state: State, engine: Engine, threads: int | None) -> None:
        self.program: Program = engine(graph, BATCH, threads)
        self.program.load_state({name: state[name] for name in graph.variables})
        self.shape = tuple(int(str(size)) for size in graph.outputs["features"].shape[1:])

    def __call__(self, pictures: Floats) -> Floats:
        """The features of any number of pictures; those of one do not depend on the others."""
        found = np.empty((len(pictures), *self.shape), np.float32)
        for first in range(0, len(pictures), BATCH):
            part = pictures[first : first + BATCH]
            full = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
            found[first : first + len(part)] = self.program.run(pictures=full)["features"][: len(part)]
        return found


class FeatureFeed:
    """Batches of features, for the stage that begins after epoch `first` of the run.

    Each picture is seen in `views` views, the first epochs of `source`. In these epochs features are computed as they
    are needed, in the source's order; later ones shuffle what is known already, a view an epoch in turn. An epoch is a
    function of its number alone: what is missing, because a run was resumed, is computed again.
    """

    def __init__(self, trunk: Trunk, source: Batches, views: int, first: int) -> None:
        self.trunk, self.source, self.first = trunk, source, first
        self.views = [_View(source, number + 1, shelf) for number, shelf in enumerate(_shelves(source, trunk, views))]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def waited(self) -> float:
        """Seconds in which features waited for pictures."""
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

    def pictures(self, number: int, step: int) -> NDArray[np.intp]:
        """The numbers of the pictures in step `step` (from 0) of epoch `number`."""
        turn, size = number - self.first - 1, self.source.size
        rows = np.arange(len(self) * size) if turn < len(self.views) else self._order(number)
        count = len(self.source.pictures)
        known = counter.order(count, self.source.seed, counter.SHUFFLE, turn % len(self.views) + 1)
        return np.resize(known, len(self) * size)[rows[step * size : (step + 1) * size]]

    def _order(self, number: int) -> NDArray[np.intp]:
        """All rows of a view in the order of an epoch; the last batch is filled up with the first."""
        found = counter.order(len(self.source.pictures), self.source.seed, counter.SHUFFLE, number)
        return np.resize(found, len(self) * self.source.size)


class _View:
    """The features of epoch `number` of `source`, a row a picture in that epoch's order."""

    def __init__(self, source: Batches, number: int, shelf: NDArray[np.float16]) -> None:
        self.source, self.number, self.shelf = source, number, shelf
        self.targets: NDArray[Any] | None = None
        self.known: set[int] = set()

    @property
    def full(self) -> bool:
        return len(self.known) == len(self.source)

    def rows(self, chosen: NDArray[np.intp]) -> Step:
        assert self.targets is not None
        return self.shelf[chosen].astype(np.float32), self.targets[chosen]

    def fill(self, trunk: Trunk, start: int) -> Iterator[Step]:
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

    def _keep(self, step: int, trunk: Trunk, pictures: Floats, targets: NDArray[Any]) -> None:
        if self.targets is None:
            self.targets = np.empty((len(self.shelf), *targets.shape[1:]), targets.dtype)
        rows = slice(step * self.source.size, (step + 1) * self.source.size)
        self.shelf[rows] = np.clip(trunk(pictures), -LARGEST, LARGEST)
        self.targets[rows] = targets
        self.known.add(step)


class FeatureScore:
    """Measures states of a network on `pictures`, of which the frozen part is computed once.

    `graph` is the network's, traced with those layers frozen.
    """

    def __init__(self, graph: Graph, model: Model, pictures: Pictures, state: State) -> None:
        gate = settled_gate(graph, "logits")
        assert gate is not None  # what a step was cut at is there in prediction, too
        self.model, self.pictures = model, pictures
        self.trunk = Trunk(before(graph, gate, "features"), state, model.engine, model.threads)
        self.rest = model.engine(after(graph, gate), BATCH, model.threads)
        self.known: NDArray[np.float16] | None = None

    def __call__(self, state: State) -> Evaluation:
        self.rest.load_state({name: state[name] for name in self.rest.graph.variables})
        features = self._features() if self.known is None else self.known
        logits = [self._logits(features[first : first + BATCH]) for first in range(0, len(features), BATCH)]
        return Evaluation.of(softmax(np.concatenate(logits)), self.pictures.labels, self.model.labels)

    def _features(self) -> NDArray[np.float16]:
        self.known = _shelf(len(self.pictures), self.trunk.shape)
        for first in range(0, len(self.known), BATCH):
            pixels = self.pictures.pixels[first : first + BATCH]
            found = self.trunk(self.model.preprocessing.apply(pixels))
            self.known[first : first + BATCH] = np.clip(found, -LARGEST, LARGEST)
        return self.known

    def _logits(self, part: NDArray[np.float16]) -> Floats:
        full = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)]).astype(np.float32)
        found: Floats = self.rest.run(pictures=full)["logits"][: len(part)]
        return found


def bytes_of(pictures: int, features: int, views: int) -> int:
    """What the features of so many pictures take."""
    return 2 * pictures * features * views


def _shelves(source: Batches, trunk: Trunk, views: int) -> NDArray[np.float16]:
    """Room for all views, in memory or on disk: views × rows × features."""
    return _shelf(views * len(source) * source.size, trunk.shape).reshape(views, -1, *trunk.shape)


def _shelf(rows: int, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """Room for features; in half precision, which is far finer than what a network makes of them."""
    size = bytes_of(rows, int(np.prod(shape)), 1)
    if size <= IN_MEMORY:
        return np.empty((rows, *shape), np.float16)
    folder = store.root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # has no name, and goes when it is used no more
            _reserve(file.fileno(), size)
            return np.memmap(file, np.float16, "r+", shape=(rows, *shape))
    except OSError as error:
        raise TrainingError(
            f"{_nearest(folder)} has no room for the features of the pictures, {size / 1e9:.1f} GB "
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
