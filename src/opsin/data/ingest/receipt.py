"""The receipt of an intake: what was found in the data, in words for people and as data for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from opsin.data.decode import Range
from opsin.data.ingest import messages
from opsin.data.items import PARTS, FileProblem

EXACT, NEAR = "exact", "near"


@dataclass(frozen=True)
class Member:
    """An image in a group of duplicates."""

    name: str
    label: str
    part: str
    """The part that it ended up in."""


@dataclass(frozen=True)
class Duplicates:
    """Images that are the same: byte for byte or pixel for pixel (`EXACT`), or to the eye (`NEAR`)."""

    kind: str
    members: tuple[Member, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in PARTS if any(member.part == part for member in self.members))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({member.label for member in self.members}))


@dataclass(frozen=True)
class Sizes:
    """Heights and widths in pixels, by area."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    different: int
    """How many sizes there are."""


@dataclass(frozen=True)
class Remark:
    """What of an image's file is left out, though the image is used."""

    name: str
    left_out: str


@dataclass(frozen=True)
class Receipt:
    """What an intake found.

    `counts` are the usable images of each class by part, `division` says in a sentence where the parts come from,
    `shape` is what the images became (channels, height, width). A group of `duplicates` is a leak where it lies in
    several parts, and a conflict where it has several labels; without `compared` only those that are equal were looked
    for. `lost` are classes without a single usable image,
    `single` those with one, which cannot be measured. `cached` of the images were not read again. `deep` counts those
    of more than eight bits by the type of their numbers; the two of `pixel_range` became black and white, and `beyond`
    of the images have values outside it. `remarks` say what of files is left out.
    `notes` are sentences about what else is worth knowing, such as what was passed over.
    """

    source: str
    counts: Mapping[str, Mapping[str, int]]
    division: str
    shape: tuple[int, int, int]
    sizes: Sizes | None = None
    problems: tuple[FileProblem, ...] = ()
    duplicates: tuple[Duplicates, ...] = ()
    compared: bool = True
    lost: tuple[str, ...] = ()
    single: tuple[str, ...] = ()
    seconds: float = 0.0
    cached: int = 0
    notes: tuple[str, ...] = ()
    pixel_range: Range | None = None
    deep: Mapping[str, int] = field(default_factory=dict)
    beyond: int = 0
    remarks: tuple[Remark, ...] = ()

    @property
    def images(self) -> int:
        return sum(sum(counts.values()) for counts in self.counts.values())

    @property
    def totals(self) -> dict[str, int]:
        """Usable images of each class, the largest first."""
        total: Counter[str] = Counter()
        for counts in self.counts.values():
            total.update(counts)
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    @property
    def imbalance(self) -> float:
        """Images of the largest class for one of the smallest."""
        totals = [count for count in self.totals.values() if count]
        return max(totals) / min(totals) if totals else 1.0

    @property
    def leaks(self) -> tuple[Duplicates, ...]:
        """Duplicates in several parts: what is measured on them has been seen."""
        return tuple(group for group in self.duplicates if len(group.parts) > 1)

    @property
    def conflicts(self) -> tuple[Duplicates, ...]:
        """Duplicates with several labels, of which at most one can be right."""
        return tuple(group for group in self.duplicates if len(group.labels) > 1)

    def to_data(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            **asdict(self),
            "images": self.images,
            "images_per_second": self.images / self.seconds if self.seconds else None,
            "imbalance": self.imbalance,
            "leaks": [asdict(group) for group in self.leaks],
            "conflicts": [asdict(group) for group in self.conflicts],
        }

    def text(self, full: bool = False) -> str:
        """The receipt for people: a screenful, or `full`, with every file by its name."""
        return messages.text(self, full)
