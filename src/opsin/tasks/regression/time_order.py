"""Find out whether the rows of a table are frames in the order of time, and split them by time if they are.

Neighbouring frames of a film are nearly the same image. If they were split at random, each image of the test would have
a nearly equal one in the training split, and the result would say nothing about new images.
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError

TRAINING_END, VALIDATION_END = 0.7, 0.8
"""The shares of the frames at which the training and the validation part end."""

GAP_SECONDS = 2.0
"""The time left out between two parts."""

GAP_SHARE = 0.01
"""The share of the frames left out between two parts if their times are not known."""

MIN_FRAMES = 50
MIN_INCREASING = 0.98
"""The share of the rows whose name counts up from that of the row before."""

PAIRS = 24
"""Neighbours that are compared."""

MAX_DIFFERENCE = 0.5
"""Frames differ from the next one by at most this share of the difference between frames of different times."""

THUMBNAIL = 16
MAX_PIXELS = 50_000_000

CLOCK = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_. ]?(\d\d)[-_. ]?(\d\d)[-_. T]?(\d\d)[-_.:h ]?(\d\d)[-_.:m ]?(\d\d)"
    r"(?:[-_.]?(\d{1,6}))?(?!\d)"
)
"""A date and a time of day, to seconds or fractions of them: 2018_07_16_17_11_43_382."""

UNIX_DIGITS = {10: 1.0, 13: 1e3, 16: 1e6, 19: 1e9}
"""Digits of the time since 1970, and its units in a second."""

FIRST_YEAR, LAST_YEAR = 1980, 2100


@dataclass(frozen=True, eq=False)
class TimeOrder:
    """Frames in the order of time, with the `seconds` of each since the first (None: not known)."""

    frames: int
    seconds: NDArray[np.float64] | None

    def splits(self) -> list[str]:
        """Return the split of each frame: first training, then validation, then test; "" between them."""
        first, second = round(TRAINING_END * self.frames), round(VALIDATION_END * self.frames)
        result = ["train"] * first + ["validation"] * (second - first) + ["test"] * (self.frames - second)
        for begin, boundary in ((0, first), (first, second)):
            for frame in self.gap(begin, boundary):
                result[frame] = ""
        return result

    def gap(self, begin: int, boundary: int) -> range:
        """Return the frames that are left out at the end of the part from `begin` to `boundary`: at most half of it."""
        middle = (begin + boundary + 1) // 2
        if self.seconds is None:
            start = boundary - max(1, round(GAP_SHARE * self.frames))
        else:
            start = int(np.searchsorted(self.seconds[:boundary], self.seconds[boundary] - GAP_SECONDS, side="right"))
        return range(max(middle, min(start, boundary - 1)), boundary)


def time_order(paths: Sequence[str], read: Callable[[str], bytes]) -> TimeOrder | None:
    """Return the order of frames at these paths, in the order of a table; None if they are not frames of a film.

    They are if their names count up, and neighbours are more alike than images from different parts of the table.
    """
    if len(paths) < MIN_FRAMES:
        return None
    seconds = _increasing([_clock(path) for path in paths])
    if seconds is None and _increasing([_frame(path) for path in paths]) is None:
        return None
    if not _neighbours_alike(paths, read):
        return None
    return TimeOrder(len(paths), None if seconds is None else np.maximum.accumulate(seconds) - seconds[0])


def _increasing(values: Sequence[float | None]) -> NDArray[np.float64] | None:
    """Return the numbers if nearly all of them are larger than the one before; None if not."""
    if any(value is None for value in values):
        return None
    numbers = np.array(values, np.float64)
    return numbers if (np.diff(numbers) > 0).mean() >= MIN_INCREASING else None


def _frame(path: str) -> float | None:
    """Return the last number in the name of a file."""
    digits = re.findall(r"\d+", _stem(path))
    return float(digits[-1][:15]) if digits else None


def _clock(path: str) -> float | None:
    """Return the time in the name of a file in seconds; None if there is none."""
    if match := CLOCK.search(_stem(path)):
        *parts, fraction = match.groups()
        try:
            time = datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[arg-type,misc]
        except ValueError:
            return None
        return time.timestamp() + float(f"0.{fraction or 0}")
    for digits in re.findall(r"\d+", _stem(path)):
        if (unit := UNIX_DIGITS.get(len(digits))) and _is_year_known(seconds := int(digits) / unit):
            return seconds
    return None


def _is_year_known(seconds: float) -> bool:
    return FIRST_YEAR <= 1970 + seconds / 31_556_952 < LAST_YEAR


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _neighbours_alike(paths: Sequence[str], read: Callable[[str], bytes]) -> bool:
    """Return whether neighbours differ much less than images from different parts of the table, in the median."""
    places = np.unique(np.linspace(0, len(paths) - 2, PAIRS).astype(np.intp))
    pairs = [(_thumbnail(read, paths[place]), _thumbnail(read, paths[place + 1])) for place in places.tolist()]
    known = [(one, next_one) for one, next_one in pairs if one is not None and next_one is not None]
    if len(known) < PAIRS // 2:
        return False
    half = len(known) // 2
    others = [_difference(known[place][0], known[(place + half) % len(known)][0]) for place in range(len(known))]
    neighbours = [_difference(*pair) for pair in known]
    return float(np.median(neighbours)) < MAX_DIFFERENCE * float(np.median(others))


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).mean())


def _thumbnail(read: Callable[[str], bytes], path: str) -> NDArray[np.float64] | None:
    """Return a small grey copy of an image; None if it cannot be read."""
    try:
        with Image.open(io.BytesIO(read(path))) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("L", (4 * THUMBNAIL, 4 * THUMBNAIL))
            small = image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
            return np.asarray(small, np.float64)
    except (DataError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
