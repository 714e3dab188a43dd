"""What can be known of data before it is decoded: how many images of which classes, and how large they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from opsin.base.errors import OpsinError
from opsin.data import Dataset
from opsin.data.decode import read_header
from opsin.data.items import TEST, TRAIN, UNSPLIT, Source

SAMPLE = 32
"""Files whose headers are looked at."""

TRAINED = 0.72
"""The share that is trained on, where the data says nothing: a fifth is held out, and a tenth of the rest."""


@dataclass(frozen=True)
class DatasetSummary:
    """`images` to train on in `classes` classes, the smallest of `smallest`; `held_out` others.

    `side` is the shorter side of a typical image, in pixels, and `grey` says whether those looked at are all grey.
    `resizable`: they can be read at any size.
    """

    images: int
    held_out: int
    classes: int
    smallest: int
    side: int
    grey: bool
    resizable: bool

    @classmethod
    def of(cls, opened: Source | Dataset) -> DatasetSummary:
        """Of a source that is listed, by the headers of a few files, or of arrays."""
        if isinstance(opened, Dataset):
            channels, height, width = opened.shape
            counts = [count for count in opened.train.counts() if count]
            held_out = (len(opened.test) if opened.test else 0) + (len(opened.validation) if opened.validation else 0)
            return cls(
                len(opened.train), held_out, len(counts), min(counts), min(height, width), channels == 1,
                channels in (1, 3),
            )  # fmt: skip
        labels = Counter(item.label for item in opened.items if item.split in (TRAIN, UNSPLIT))
        total = sum(labels.values())
        # What a source does not divide is divided when it is read.
        trained = total if any(item.split == TEST for item in opened.items) else round(TRAINED * total)
        sides, greys = _headers(opened)
        return cls(
            trained, len(opened.items) - trained, len(labels), min(labels.values(), default=0),
            int(np.median(sides)) if sides else 0, bool(greys) and all(greys), True,
        )  # fmt: skip


def _headers(source: Source) -> tuple[list[int], list[bool]]:
    """The shorter sides and the greyness of files spread over the source; those that cannot be read are passed over."""
    sides, greys = [], []
    for index in np.unique(np.linspace(0, max(0, len(source.items) - 1), SAMPLE).astype(int))[: len(source.items)]:
        try:
            header = read_header(source.read(int(index)), source.items[index].name)
        except (OpsinError, OSError):
            continue
        sides.append(min(header.height, header.width))
        greys.append(header.grey)
    return sides, greys
