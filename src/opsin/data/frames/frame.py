"""One image of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from opsin.base.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class Frame(Generic[T]):
    """An image of a sequence, with what was read from it: `content`, or why it cannot be read."""

    name: str
    content: T | DataError
    arrival: float
    """When it was complete, or when it was taken from frames that need not be processed in time: in seconds, by the
    monotonic clock."""
    dropped: int = 0
    """The number of frames between it and the previous one that were dropped, because newer ones were waiting."""
    number: int | None = None
    """Its number in a video, from 0."""
    time: float | None = None
    """Its time in a video, in seconds from the first frame."""
