"""What a kind of input is: how the files of a kind become arrays of one shape, and what a network gets of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError, OpsinError
from opsin.base.spread import spread
from opsin.nn import Layer
from opsin.tasks.task import Defaults

T = TypeVar("T")

Shape = tuple[int, int, int]
"""Channels, height and width. Sequences have the height 1, and their width is the time."""


@dataclass(frozen=True)
class Files:
    """The training files of a data set before they are decoded: `read(n)` returns the bytes of the file `names[n]`."""

    names: Sequence[str]
    read: Callable[[int], bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the user asked for: arguments of `InputKind.fitted`, such as the length."""

    def readable(self, read: Callable[[bytes, str], T], many: str, limit: int | None = None) -> list[T]:
        """Return what `read` makes of the content and the name of files; those that it refuses are left out.

        With a `limit`, so many files are read, from all parts of the list. Raise `DataError` with the first reason if
        none of the files, which are called `many`, can be read.
        """
        results, reason = [], ""
        count = len(self.names)
        for number in spread(count, min(count, limit or count)).tolist():
            try:
                results.append(read(self.read(number), self.names[number]))
            except (OpsinError, OSError) as error:
                reason = reason or f"; the first one: {error}"
        if not results:
            raise DataError(f"none of the {many} can be read{reason}")
        return results


class Augmentation(Protocol):
    """Random changes of training samples, which keep their answers."""

    mixes: ClassVar[bool]
    """Whether two samples are blended, so that targets are shares of classes."""

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        """Return N changed samples, which stand at the positions `first`, `first` + 1, … of an epoch.

        The result depends on nothing else.
        """


@dataclass(frozen=True)
class Unchanged:
    """The augmentation that changes nothing."""

    mixes: ClassVar[bool] = False

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        return samples


class InputKind(Protocol):
    """A kind of input, with what is fixed when a network is trained on it, such as the length of all samples.

    Implementations are frozen dataclasses. Their fields become part of the model file (`to_data`), so that a model
    reads raw files. `Preprocessing` is that of images (see `opsin.data`).
    """

    kind: ClassVar[str]
    """The name in files and options."""

    nouns: ClassVar[tuple[str, str]]
    """What one sample is called in messages, and several."""

    endings: ClassVar[tuple[str, ...]]
    """The extensions of its files, in small letters."""

    dtype: ClassVar[Any]
    """The type of the numbers in a sample."""

    frames: ClassVar[int]
    """1: only images are stacked."""

    version: ClassVar[int]
    """Incremented when files are read differently."""

    @property
    def shape(self) -> Shape:
        """The shape of a sample."""

    @property
    def input_shape(self) -> Shape:
        """The shape of what a program takes for it; the same for all kinds but films of images."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a sample."""

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Return the kind with the settings that suit these files, such as the usual length or the vocabulary.

        Raise `DataError` if none can be read, and `UsageError` for options that make no sense.
        """

    @classmethod
    def whole_options(cls, files: Files) -> Mapping[str, Any]:
        """Return the options of `fitted` with which nothing is cut off, for tasks whose answers are about all of it."""

    def describe(self) -> str:
        """Return what the samples are used as: "1.00 s at 8,000 Hz"."""

    def read(self, source: bytes | Path, name: str) -> NDArray[Any]:
        """Return the sample of a file, `dtype` C × H × W. Raise `DataError` with the reason if it has none."""

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        """Return the sample of a file, and what is odd about the file, as a phrase; "" if nothing is."""

    def from_value(self, value: Any, name: str) -> NDArray[Any] | None:
        """Return the sample of a value that programs hold, such as an array; None for other types."""

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return what programs take, float32 N × C × H × W."""

    def front_end(self, input_shape: Shape) -> Layer | None:
        """Return the layer from what programs take to what a network of `input_shape` takes; None if it is the same."""

    def augmentation(self, level: str) -> Augmentation:
        """Return the random changes of a level: "none", "light" or "strong"."""

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        """Return one sample for each row of random bits N × (C·H·W), with any content that is allowed."""

    def render(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        """Return an image of a sample for reports, uint8 rows × columns × 3."""

    def occluded(self, sample: NDArray[Any]) -> NDArray[Any]:
        """Return copies of a sample with one part hidden each, such as a word or a stretch of time, K × C × H × W."""

    def html(self, sample: NDArray[Any], importance: NDArray[np.float64] | None) -> str:
        """Return what a page shows of a sample in place of its image, such as its words; "" to show the image.

        `importance` says how much each part of `occluded` speaks for the answer, -1 to 1; None if it is not known.
        """

    @classmethod
    def network(cls, count: int) -> str:
        """Return the network of the zoo that a plan takes for so many training samples."""

    @classmethod
    def defaults(cls, network: str, count: int) -> Defaults:
        """Return what a plan without options takes to train a network on so many samples."""

    def to_data(self) -> dict[str, Any]:
        """Return the fields for JSON."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""


class FileKind(ABC):
    """What the kinds share whose samples are files: an `InputKind` is a subclass with the rest of that protocol."""

    version: ClassVar[int] = 1
    frames: ClassVar[int] = 1

    @classmethod
    def whole_options(cls, files: Files) -> Mapping[str, Any]:
        return {}

    @property
    @abstractmethod
    def shape(self) -> Shape: ...

    @property
    def input_shape(self) -> Shape:
        return self.shape

    @property
    def size(self) -> tuple[int, int]:
        return self.shape[1:]

    def read(self, source: bytes | Path, name: str) -> NDArray[Any]:
        return self.read_with_remark(source, name)[0]

    @abstractmethod
    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]: ...

    def from_value(self, value: Any, name: str) -> NDArray[Any] | None:
        """Return the sample of a path, the bytes of a file, or an array (see `from_array`); None for other types."""
        if isinstance(value, str):
            return self.read(Path(value), value)
        if isinstance(value, bytes | bytearray | memoryview):
            return self.read(bytes(value), name)
        return self.from_array(value) if isinstance(value, np.ndarray) else None

    def from_array(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """Return the sample of an array that programs hold; None if it is none of this kind."""
        return None


def file_content(source: bytes | Path, name: str, limit: int = -1) -> bytes:
    """Return the content of a file, or its first `limit` bytes. Raise `DataError` if it cannot be read."""
    if isinstance(source, bytes):
        return source
    try:
        with source.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise DataError(f"{name}: {error.strerror}") from None
