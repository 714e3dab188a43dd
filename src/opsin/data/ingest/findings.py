"""What was found when a data set was read, as data for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data.decode import PixelRange
from opsin.data.items import SPLITS, FileProblem
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.tasks.annotations import Problem
from opsin.tasks.registry import CLASSIFICATION

EXACT, NEAR = "exact", "near"

OLD_KEYS = {
    "split_note": "division", "high_depth": "deep", "clipped": "beyond", "empty_classes": "lost",
    "single_image_classes": "single", "images_per_second": "pictures_per_second",
}  # fmt: skip
"""Keys of the JSON data, and their names in Opsin 0.1.0, under which they are written as well."""


@dataclass(frozen=True)
class Member:
    """An image in a group of duplicates."""

    name: str
    label: str
    split: str
    """The split that contains it."""


@dataclass(frozen=True)
class Duplicates:
    """Images that are equal byte for byte or pixel for pixel (`EXACT`), or that show the same content (`NEAR`)."""

    kind: str
    members: tuple[Member, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(split for split in SPLITS if any(member.split == split for member in self.members))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({member.label for member in self.members}))

    def to_data(self) -> dict[str, Any]:
        """Return the group for JSON; members have their split also as "part", as in Opsin 0.1.0."""
        return {"kind": self.kind, "members": [{**asdict(member), "part": member.split} for member in self.members]}


@dataclass(frozen=True)
class Sizes:
    """Heights and widths in pixels, ordered by area."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    different: int
    """The number of different sizes."""

    @classmethod
    def of(cls, sizes: NDArray[np.int32]) -> Sizes | None:
        """Return the statistics of heights and widths (N×2), or None for no images."""
        if not len(sizes):
            return None
        order = np.argsort(sizes.astype(np.int64).prod(axis=1), kind="stable")
        smallest, median, largest = (
            (int(sizes[n, 0]), int(sizes[n, 1])) for n in (order[0], order[len(order) // 2], order[-1])
        )
        return cls(smallest, median, largest, len(np.unique(sizes, axis=0)))


@dataclass(frozen=True)
class Remark:
    """Content of a file that is ignored, although the image is used."""

    name: str
    left_out: str


@dataclass(frozen=True)
class Findings:
    """A summary of a dataset: its images, problems, duplicates and splits.

    `counts` are the numbers of usable images by split and class. `split_note` is a sentence about the origin of the
    splits. `shape` is the shape of the images after decoding (channels, height, width). A group of `duplicates` is a
    leak if its images are in several splits, and a conflict if they have several labels. If `compared` is false, only
    exact duplicates were searched for. `empty_classes` have no usable image. `single_image_classes` have one, and so
    none in the test split. `cached` images were not read again. `high_depth` counts the images with
    more than eight bits by pixel type; the values of `pixel_range` become black and white in them, and `clipped` of
    them have values outside that range. `remarks` name ignored content of files. `notes` are sentences about anything
    else worth knowing, such as ignored files.

    Of tasks with annotations, `subject` says what they are about ("3 classes of objects"), `form` what they are ("COCO
    JSON"), `counts` how many images show each class, `images_by_split` how many images there are, `annotations` the
    number of annotations of each class, and `annotation_problems` those that cannot be used.

    `kind` is the kind of input, and `used_as` says what samples other than images are used as ("1.00 s at 8,000 Hz").
    """

    source: str
    counts: Mapping[str, Mapping[str, int]]
    split_note: str
    shape: tuple[int, int, int]
    sizes: Sizes | None = None
    problems: tuple[FileProblem, ...] = ()
    duplicates: tuple[Duplicates, ...] = ()
    compared: bool = True
    empty_classes: tuple[str, ...] = ()
    single_image_classes: tuple[str, ...] = ()
    seconds: float = 0.0
    cached: int = 0
    notes: tuple[str, ...] = ()
    pixel_range: PixelRange | None = None
    high_depth: Mapping[str, int] = field(default_factory=dict)
    clipped: int = 0
    remarks: tuple[Remark, ...] = ()
    task: str = CLASSIFICATION
    subject: str = ""
    form: str = ""
    images_by_split: Mapping[str, int] = field(default_factory=dict)
    annotations: Mapping[str, int] = field(default_factory=dict)
    annotation_problems: tuple[Problem, ...] = ()
    kind: str = IMAGE
    used_as: str = ""

    @property
    def nouns(self) -> tuple[str, str]:
        """What one sample is called, and several."""
        return NOUNS[self.kind]

    @property
    def split_sizes(self) -> dict[str, int]:
        """The number of usable images of each split."""
        return dict(self.images_by_split) or {split: sum(counts.values()) for split, counts in self.counts.items()}

    @property
    def images(self) -> int:
        """The number of usable images."""
        return sum(self.split_sizes.values())

    @property
    def totals(self) -> dict[str, int]:
        """The number of usable images of each class, in descending order."""
        total: Counter[str] = Counter()
        for counts in self.counts.values():
            total.update(counts)
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    @property
    def imbalance(self) -> float:
        """The number of images of the largest class divided by that of the smallest one; 1 for other tasks."""
        if self.task != CLASSIFICATION:
            return 1.0
        totals = [count for count in self.totals.values() if count]
        return max(totals) / min(totals) if totals else 1.0

    @property
    def leaks(self) -> tuple[Duplicates, ...]:
        """Duplicates in several splits: the model is evaluated on images that it was trained on."""
        return tuple(group for group in self.duplicates if len(group.splits) > 1)

    @property
    def conflicts(self) -> tuple[Duplicates, ...]:
        """Duplicates with several labels, of which at most one can be right."""
        return tuple(group for group in self.duplicates if len(group.labels) > 1)

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON, renamed keys also under their names in Opsin 0.1.0."""
        data = {
            **asdict(self),
            "images": self.images,
            "images_per_second": self.images / self.seconds if self.seconds else None,
            "imbalance": self.imbalance,
            **{key: [group.to_data() for group in getattr(self, key)] for key in ("duplicates", "leaks", "conflicts")},
        }
        return data | {old: data[new] for new, old in OLD_KEYS.items()}
