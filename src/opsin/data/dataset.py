"""Labelled pictures in memory, and their division into a training and a held-out part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from opsin.data import counter
from opsin.errors import DataError

HELD_OUT = 0.2
"""The share of each class that is held out where the data brings no division of its own."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """`pixels` uint8 N×C×H×W, `labels` int32 N: numbers of names in `classes`."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def take(self, indices: NDArray[np.intp]) -> Pictures:
        return Pictures(self.pixels[indices], self.labels[indices], self.classes)

    def counts(self) -> list[int]:
        """The number of pictures of each class."""
        return [int(n) for n in np.bincount(self.labels, minlength=len(self.classes))]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures to train on and pictures held out to measure with.

    `own_split` says whether the data itself brought that division; otherwise Opsin made it, the
    same way every time.
    """

    name: str
    train: Pictures
    test: Pictures
    own_split: bool

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.train.shape

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the pictures and labels trained on, by which a model knows them again."""
        digest = blake2b(digest_size=16)
        for array in (self.train.pixels, self.train.labels):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def everything(self) -> Pictures:
        """Both parts together."""
        pixels = np.concatenate([self.train.pixels, self.test.pixels])
        return Pictures(pixels, np.concatenate([self.train.labels, self.test.labels]), self.classes)


def check_classes(pictures: Pictures, source: str) -> None:
    """`DataError` unless there are pictures of at least two classes."""
    present = [name for name, count in zip(pictures.classes, pictures.counts(), strict=True) if count]
    if len(present) < 2:
        what = f"pictures of one class only ('{present[0]}')" if present else "no pictures"
        raise DataError(f"{source} holds {what}; training needs pictures of at least two classes")


def split(pictures: Pictures, name: str) -> Dataset:
    """A dataset that holds out a fifth of each class (at least one picture where there are two)."""
    rank = counter.words(len(pictures), 0, counter.SPLIT)
    held_out = np.zeros(len(pictures), bool)
    for label in range(len(pictures.classes)):
        members = np.flatnonzero(pictures.labels == label)
        count = min(max(1, round(HELD_OUT * len(members))), len(members) - 1)
        if count > 0:
            held_out[members[np.argsort(rank[members], kind="stable")[:count]]] = True
    train, test = pictures.take(np.flatnonzero(~held_out)), pictures.take(np.flatnonzero(held_out))
    if not len(test):
        raise DataError(f"{name} has one picture of each class; at least two are needed, one to measure with")
    return Dataset(name, train, test, own_split=False)
