"""Find out what the columns of a table of boxes hold."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opsin.base.path_words import is_image
from opsin.tasks.text import number

NAMES: Mapping[str, tuple[str, ...]] = {
    "image": ("filename", "imageid", "imagepath", "imagename", "image", "filepath", "path", "file", "img", "id"),
    "class": ("class", "classname", "label", "labelname", "category", "categoryname", "name", "target", "classid"),
    "left": ("xmin", "x1", "left", "bboxxmin", "bboxx1", "minx"),
    "top": ("ymin", "y1", "top", "bboxymin", "bboxy1", "miny"),
    "right": ("xmax", "x2", "right", "bboxxmax", "bboxx2", "maxx"),
    "bottom": ("ymax", "y2", "bottom", "bboxymax", "bboxy2", "maxy"),
    "x": ("x", "bboxx", "boxx"),
    "y": ("y", "bboxy", "boxy"),
    "w": ("w", "bboxwidth", "bboxw", "boxwidth", "boxw"),
    "h": ("h", "bboxheight", "bboxh", "boxheight", "boxh"),
    "box": ("bbox", "box", "boundingbox"),
    "width": ("imagewidth", "imgwidth", "width"),
    "height": ("imageheight", "imgheight", "height"),
    "split": ("split", "set", "subset", "usage", "partition"),
    "crowd": ("isgroupof", "iscrowd", "crowd"),
    "difficult": ("difficult", "isdifficult"),
}  # fmt: skip
"""What a column holds, and the names that say so, in lower case without other characters."""

CORNERS, EXTENT = ("left", "top", "right", "bottom"), ("x", "y", "w", "h")


@dataclass(frozen=True)
class Columns:
    """The places of the columns by what they hold, and how they give a box."""

    places: Mapping[str, int]
    header: bool

    @property
    def box(self) -> tuple[str, ...]:
        """The columns of the box: its corners, its corner and extent, or one column with all."""
        forms = (CORNERS, EXTENT, ("box",))
        return next((form for form in forms if all(name in self.places for name in form)), ())

    def value(self, row: Sequence[str], name: str) -> str:
        """Return what a column of a row holds, without spaces around it; "" if there is no such column."""
        place = self.places.get(name, len(row))
        return row[place].strip() if place < len(row) else ""


def find_columns(first: Sequence[str]) -> Columns | None:
    """Return the columns that the first row names; None if these are not images and boxes."""
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in first]
    places = {
        key: next(names.index(synonym) for synonym in synonyms if synonym in names)
        for key, synonyms in NAMES.items()
        if any(synonym in names for synonym in synonyms)
    }
    if not {"x", "y"} - places.keys() and not {"w", "h"} & places.keys() and {"width", "height"} <= places.keys():
        places |= {"w": places.pop("width"), "h": places.pop("height")}
    columns = Columns(places, header=True)
    return columns if "image" in places and columns.box else _without_header(first)


def _without_header(row: Sequence[str]) -> Columns | None:
    """Return the columns of a table without names, as RetinaNet's programs use: path, x1, y1, x2, y2, class."""
    if len(row) != 6 or not is_image(posixpath.basename(row[0].strip().replace("\\", "/"))):
        return None
    numbers = [value for value in map(number, row[1:5]) if value == value]
    empty = all(not value.strip() for value in row[1:])
    places = dict(zip(("image", *CORNERS, "class"), range(6), strict=True))
    return Columns(places, header=False) if len(numbers) == 4 or empty else None
