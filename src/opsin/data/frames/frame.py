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
    """The path of its file, or of the video."""
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

    def __str__(self) -> str:
        """Return a name such as "drive.mp4 at 12.48 s"."""
        return self.name if self.time is None else frame_name(self.name, self.time)


def frame_name(video: str, time: float) -> str:
    """Return the name of a frame of a video at a time in seconds."""
    return f"{video} at {time:.2f} s"
