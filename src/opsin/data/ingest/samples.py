"""Read the samples of other kinds of input than images: every file once, in memory or on each access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest.decode import record_digest, record_problems
from opsin.data.ingest.file_index import DECODED, UNKNOWN, FileIndex
from opsin.data.ingest.scan import Scan
from opsin.data.items import TEST, VALIDATION, Source
from opsin.data.parallel import Progress, for_each
from opsin.data.pixels import ImageView, Pixels
from opsin.inputs import InputKind, find_kind, kind_of_names
from opsin.inputs.kind import Files
from opsin.tasks.task import TimedTask

MAX_SAMPLE_BYTES = 2**30
"""Bytes of samples that are held in memory; more are read from their files on each access."""


def source_kind(source: Source) -> str:
    """Return the kind of input that the items of a source are, such as "image" or "sound"."""
    kind = getattr(source, "kind", "")
    return str(kind) or kind_of_names([item.name for item in source.items])


def fitted_input(source: Source, kind: str, options: Mapping[str, Any] = MappingProxyType({})) -> InputKind:
    """Return the kind of input with the settings that suit the files that are trained on, and the options."""
    numbers = [number for number, item in enumerate(source.items) if item.split not in (TEST, VALIDATION)]
    names = [source.items[number].name for number in numbers]
    files = Files(names, lambda position: source.read(numbers[position]), options)
    if isinstance(getattr(source, "task", None), TimedTask):  # what is cut off would be missing
        files = replace(files, options={**find_kind(kind).whole_options(files), **options})
    fitted: InputKind = find_kind(kind).fitted(files)
    return fitted


def scan_samples(source: Source, kind: InputKind, on_progress: Progress | None) -> Scan:
    """Read all items of a source. Files that cannot be used become problems."""
    count, stride = len(source.items), prod(kind.shape) * np.dtype(kind.dtype).itemsize
    file_index = FileIndex.unknown(count)
    is_small = count * stride <= MAX_SAMPLE_BYTES
    samples = np.zeros((count if is_small else 0, *kind.shape), kind.dtype)

    def process(index: int) -> None:
        name = source.items[index].name
        with record_problems(file_index, index, name):
            data = source.read(index)
            record_digest(file_index, index, data)
            sample, remark = kind.read_with_remark(data, name)
            if is_small:
                samples[index] = sample
            if remark:
                file_index.remarks[index] = remark
            file_index.state[index] = DECODED

    for_each(process, np.flatnonzero(file_index.state == UNKNOWN).tolist(), on_progress)
    usable = file_index.usable
    pixels: Pixels = OnDemandSamples(source, usable, kind)
    if is_small:
        pixels = samples if len(usable) == count else samples[usable]
    return Scan(file_index, usable, pixels, 0)


class OnDemandSamples(ImageView):
    """Samples that are read from their files on each access."""

    def __init__(self, source: Source, items: NDArray[np.intp], kind: InputKind) -> None:
        super().__init__(len(items), kind.shape)
        self.dtype = np.dtype(kind.dtype)
        self.source, self.items, self.kind = source, items, kind

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        samples = np.empty((len(indices), *self.shape[1:]), self.dtype)

        def fill(row: int) -> None:
            index = int(self.items[indices[row]])
            samples[row] = self.kind.read(self.source.read(index), self.source.items[index].name)

        for_each(fill, range(len(indices)))
        return samples

    def take(self, indices: NDArray[np.intp]) -> ImageView:
        return OnDemandSamples(self.source, self.items[indices], self.kind)
