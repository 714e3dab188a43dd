"""Around a picture: its heading above, and below what the drawing means."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.seeing import words
from opsin.seeing.lettering import text_width
from opsin.seeing.picture import PILED, STYLES, Key, Picture, Words

KEY, SPACE, LINE = 30.0, 22.0, 26.0
"""Width of a sample, room between entries, and from one line of the legend to the next."""

KINDS = (
    words.INPUT_KIND, words.CONV, words.DEPTHWISE, words.LINEAR, words.MAX_POOL, words.AVERAGE_POOL, words.RESAMPLE,
    words.FUNCTION, words.MOVE, words.CONCAT, words.ADD, words.GATE,
)  # fmt: skip

SCALE = (
    "Height and depth of a box: √ of rows and columns; thickness: √ of channels. /2: stride. Grey numbers: parameters."
)


def add_heading(picture: Picture, title: str, subtitle: str) -> None:
    """Above the picture."""
    picture.words.append(Words(0, -32, title, "heading", "start"))
    picture.words.append(Words(0, -12, subtitle, "plain", "start"))
    picture.width = max(picture.width, text_width(title, *STYLES["heading"]), text_width(subtitle, *STYLES["plain"]))


def add_legend(picture: Picture) -> None:
    """Below the picture, in lines as wide as it is."""
    picture.width = max(picture.width, text_width(SCALE, *STYLES["faint"]))
    x, y = 0.0, picture.height + LINE + 6
    for what, text in _entries(picture):
        width = KEY + text_width(text, *STYLES["plain"])
        if x and x + width > picture.width:
            x, y = 0.0, y + LINE
        picture.keys.append(Key(x, y, what))
        picture.words.append(Words(x + KEY, y + 4, text, "plain", "start"))
        x += width + SPACE
    picture.words.append(Words(0, y + LINE, SCALE, "faint", "start"))
    picture.height = y + LINE + 4


def _entries(picture: Picture) -> Iterator[tuple[str, str]]:
    """What occurs in the picture, and what it means."""
    units = [unit for box in picture.boxes for unit in box.units]
    kinds = {unit.kind for unit in units}
    yield from ((kind, kind) for kind in KINDS if kind in kinds)
    names = [name for unit in units for text in (unit.before, unit.after) for name in text.split(", ") if name]
    for stripe in (words.NORM, words.ACTIVATION):
        found = dict.fromkeys(name for name in names if words.stripes(name) == [stripe])
        if found:
            yield stripe, " or ".join(found)
    if any(frame.copies > 1 for frame in picture.frames):
        yield PILED, "×n: n alike in a row"
