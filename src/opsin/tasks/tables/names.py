"""The names of columns: what they say about the content of a column, and how units are written in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PATH_NAMES = (
    "path file filename filepath fullpath relativepath image imagepath imagename imagefile imagefilename img imgpath "
    "imgname imgfile imgfilename picture photo pic fname name id imageid imgid pictureid photoid fileid idcode uid "
    "uuid key images pictures files paths filenames uri url"
).split()
LABEL_NAMES = (
    "label labels class classname classes classlabel category target y tag species breed diagnosis type labelname "
    "categoryname categories targets tags classid labelid categoryid dx disease variety cultivar genus level grade "
    "emotion expression digit character symbol letter celltype groundtruth gt landmarkid individualid kind"
).split()
SPLIT_NAMES = "split part set subset partition usage dataset fold datasplit".split()
GROUP_NAMES = "group groupid groups groupname sourcevideo videoid".split()
"""Names of columns in lower case without separators, most likely first."""

LABEL_PATTERNS = re.compile(r"(is|has)[ _-]|.*[ _-](label|class|category|species|type|breed|diagnosis)$")
"""Less certain names of columns of classes: has_cactus, plant_species."""

MEASURES = re.compile(
    r"(width|height|length|size|depth|channels|w|h|area|(roi|bbox|box)?[xy]?(\d|min|max|center|centre)?|"
    r"(roi|bbox|box).*|index|unnamed\d*|number|no|row|age|date|time|timestamp|md5|sha\d*|hash|license|author|source|"
    r"lat|lon|latitude|longitude)"
)
"""Names of columns that are not classes if another column may be."""

PLAIN_MEASURES = re.compile(r"width|height|channels|area|filesize|bytes|index|unnamed\d*")
"""Names of numeric columns that are not classes even if there is no other column."""

UNIT = re.compile(r"(.*\S)\s*(?:\(([^()]*)\)|\[([^\[\]]*)\])", re.DOTALL)


def head(title: str) -> str:
    """Return a title in lower case, without separators: "Image ID" → "imageid"."""
    return re.sub(r"[\W_]+", "", title.lower())


def most_likely(heads: Sequence[str], names: Iterable[str]) -> int | None:
    """Return the place of the head that is first in a list of names; None if none is in it."""
    return next((place for name in names for place, each in enumerate(heads) if each == name), None)


def words(title: str) -> list[str]:
    """Return the words of a title in lower case: "steeringAngle_deg" → steering, angle, deg."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title)
    return [word for word in re.split(r"[\W_\d]+", spaced.lower()) if word]


def spaced(title: str) -> str:
    """Convert CamelCase to camel_case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", title).lower()


def name_and_unit(title: str) -> tuple[str, str]:
    """Return a title without its unit, and the unit in parentheses or brackets: "price (EUR)" → "price", "EUR"."""
    match = UNIT.fullmatch(title.strip())
    if match is None:
        return title.strip(), ""
    return match[1], (match[2] if match[2] is not None else match[3]).strip()
