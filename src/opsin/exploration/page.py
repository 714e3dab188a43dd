"""The page of an exploration: what was found, the images that it shows, and the file around them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import __version__
from opsin.base import random_counter
from opsin.base.concurrency import lazy
from opsin.data.pixels import take
from opsin.explain.embedding.neighbours import NEIGHBOURS, nearest
from opsin.exploration.duplicates import CopySet
from opsin.exploration.findings import Findings
from opsin.exploration.groups import Group
from opsin.inspection.page import assets
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.page.document import Section, document, json_text
from opsin.inspection.sprites import sprite
from opsin.inspection.views.embedding.maps import maps_data

EXPLORE = "opsin explore"
"""The command that makes such pages."""

MAX_SHOWN = 5_000
"""Images of the page; of more, a random sample is shown besides those of the contact sheets."""

TYPICAL, UNUSUAL = 16, 8
"""Images of a contact sheet: those nearest to the centre of the group, and those farthest from it."""

MAX_SHEETS = 60
"""Groups with a contact sheet."""

MAX_COPY_SETS, MAX_COPIES = 150, 5
"""Sets of near-duplicates that are shown, and copies of each."""

MAX_OUTLIERS = 96

MAX_PROBLEMS = 500
"""Files that are listed because they cannot be read."""

ALIKE = 6
"""Similar images that are shown with each image."""

SMALL_BYTES = 3_000_000
"""Bytes of the sheet with a thumbnail of each image."""

LARGE_BYTES, LARGE_SIDES = 4_000_000, (112, 96, 80, 64, 48)
"""Bytes of the sheet of larger thumbnails, and their possible sides."""

SHOWN_ORDER = 128
"""Purpose of random numbers (see `opsin.base.random_counter`)."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The images that a page shows: `numbers` among all, sorted, and those that are shown `large`."""

    findings: Findings
    numbers: NDArray[np.intp]
    large: NDArray[np.intp]

    @classmethod
    def of(cls, findings: Findings) -> Shown:
        """Choose the images of the contact sheets and a sample of the others."""
        sheets = [typical(group) + unusual(group) for group in findings.groups[:MAX_SHEETS]]
        copies = [[each.keep, *(copy.number for copy in each.copies[:MAX_COPIES])] for each in copy_sets(findings)]
        large = np.unique([n for part in (*sheets, *copies, findings.outliers[:MAX_OUTLIERS]) for n in part])
        order = random_counter.order(len(findings.images), 0, SHOWN_ORDER)
        others = order[~np.isin(order, large)][: max(0, MAX_SHOWN - len(large))]
        return cls(findings, np.sort(np.concatenate([large, others])), large)

    def places(self, numbers: Any) -> list[int]:
        """Return the places of images on the page, by which its scripts know them; those not shown are left out."""
        wanted = np.asarray(numbers, np.intp)
        places = np.minimum(np.searchsorted(self.numbers, wanted), len(self.numbers) - 1)
        found: list[int] = places[self.numbers[places] == wanted].tolist()
        return found

    @lazy
    def features(self) -> NDArray[np.float32]:
        """The features of the images that are shown."""
        return self.findings.images.features[self.numbers]


def typical(group: Group) -> list[int]:
    """Return the images that stand for a group."""
    return list(group.members[:TYPICAL])


def unusual(group: Group) -> list[int]:
    """Return the images that belong least to a group, the farthest from its centre first."""
    return list(group.members[TYPICAL:][-UNUSUAL:][::-1])


def copy_sets(findings: Findings) -> tuple[CopySet, ...]:
    """Return the sets of near-duplicates that are shown."""
    return (findings.copies or ())[:MAX_COPY_SETS]


def make_page(findings: Findings, progress: Any) -> str:
    """Return the page. `progress` is called with the name of each part of the work."""
    shown, arrays = Shown.of(findings), Arrays()
    data = {
        "groups": _groups(shown, arrays), "embedding": _map(shown, arrays, progress), "copies": _copies(shown),
        "outliers": _outliers(shown), "files": _files(findings),
    }  # fmt: skip
    views = {name: view for name, view in data.items() if view is not None}
    progress("page")
    index = json_text({"views": views, "arrays": arrays.entries}).encode("utf-8")
    content = {
        "labels": [], "images": [], "stages": [], "views": dict.fromkeys(views), "index": arrays.size,
        "leftOut": _left_out(shown), "version": __version__,
    }  # fmt: skip
    package = "opsin.exploration"
    folders = [assets.view_folder(name, "opsin.inspection" if name == "embedding" else package) for name in views]
    scripts = assets.script(folders, [files(package) / "assets" / "images.js"])
    style = assets.style(folders, (files(package) / "assets" / "images.css").read_text(encoding="utf-8"))
    sections = [Section(name, TITLES[name]) for name in views]
    return document(
        f"{len(findings.images):,} images in {findings.images.folder.resolve().name}", _lead(findings), sections,
        content, arrays.encoded(index), scripts, style, EXPLORE,
    )  # fmt: skip


TITLES = {
    "groups": "Groups", "embedding": "Map of the data", "copies": "Near-duplicates", "outliers": "Outliers",
    "files": "Files left out",
}  # fmt: skip


def _lead(findings: Findings) -> str:
    return f"{findings.choice} Select an image to see those that are most like it."


def _left_out(shown: Shown) -> str:
    count, available = len(shown.numbers), len(shown.findings.images)
    return f"To keep the file small, it shows {count:,} of {available:,} images." if count < available else ""


def _groups(shown: Shown, arrays: Arrays) -> dict[str, Any]:
    """Return the groups, and what the page knows of every image."""
    findings, places = shown.findings, np.full(len(shown.numbers), -1, np.int32)
    places[shown.places(shown.large)] = np.arange(len(shown.large))
    large = sprite(findings.images.pixels, shown.large, LARGE_BYTES, LARGE_SIDES)
    alike = nearest(shown.features.astype(np.float64), min(ALIKE, len(shown.numbers) - 1))[0]
    return {
        "large": large.to_data(), "places": arrays.add(places),
        "sizes": arrays.add(findings.images.sizes[shown.numbers]), "alike": arrays.add(alike.astype(np.int32)),
        "groups": [
            {
                "name": group.name, "count": len(group.members), "similarity": round(group.similarity, 3),
                "typical": shown.places(typical(group)), "unusual": shown.places(unusual(group)),
            }
            for group in findings.groups
        ],
        "sheets": MAX_SHEETS,
    }  # fmt: skip


def _map(shown: Shown, arrays: Arrays, progress: Any) -> dict[str, Any]:
    """Return the data of the map of `opsin see`, whose parts are the groups."""
    images, count = shown.findings.images, len(shown.numbers)
    sheet = sprite(take(images.pixels, shown.numbers), np.arange(count), SMALL_BYTES)
    return {
        "maps": maps_data(shown.features, arrays, progress),
        "sprite": sheet.to_data(), "names": [images.names[n] for n in shown.numbers], "division": "group",
        "parts": [group.name for group in shown.findings.groups],
        "part": arrays.add(shown.findings.labels[shown.numbers].astype(np.uint8)),
        "count": count, "available": len(images), "data": images.folder.resolve().name, "neighbours": NEIGHBOURS,
    }  # fmt: skip


def _copies(shown: Shown) -> dict[str, Any] | None:
    """Return the sets of near-duplicates; None if there are none."""
    findings = shown.findings
    if findings.copies is None:
        return {"sets": [], "total": 0, "compared": False}
    if not findings.copies:
        return None
    sets = [
        {
            "keep": shown.places([each.keep])[0],
            "copies": [
                {"place": shown.places([copy.number])[0], "kind": copy.kind} for copy in each.copies[:MAX_COPIES]
            ],
            "more": max(0, len(each.copies) - MAX_COPIES),
        }
        for each in copy_sets(findings)
    ]
    return {"sets": sets, "total": len(findings.copies), "copied": findings.copy_count, "compared": True}


def _outliers(shown: Shown) -> dict[str, Any] | None:
    """Return the outliers with their scores; None if there are none."""
    findings = shown.findings
    if not findings.outliers:
        return None
    numbers = findings.outliers[:MAX_OUTLIERS]
    scores = [round(float(findings.scores[number]), 1) for number in numbers]
    return {"places": shown.places(numbers), "scores": scores, "total": len(findings.outliers)}


def _files(findings: Findings) -> dict[str, Any] | None:
    """Return the files that cannot be read; None if there are none."""
    problems = findings.images.problems
    if not problems:
        return None
    rows = [[problem.name, problem.reason] for problem in problems[:MAX_PROBLEMS]]
    return {"rows": rows, "total": len(problems)}
