"""Read the frames of a video, all of them, or of a camera, as many as can be processed in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event, Thread
from time import monotonic
from typing import TypeVar

from PIL import Image

from opsin.data.frames.backlog import Backlog
from opsin.data.frames.frame import Frame, frame_name
from opsin.data.frames.video import Video, VideoFrame

T = TypeVar("T")

MAX_WAITING = 8
"""Frames of a camera that wait in memory, at most."""

CLOSING_SECONDS = 2.0
"""How long to wait for a camera's last frame before it is released."""


def video_frames(
    video: Video, read: Callable[[Image.Image, str], T], stop: Event, *, clock: Callable[[], float] = monotonic
) -> Iterator[Frame[T]]:
    """Yield all frames of a video, and what `read` makes of each, until `stop` is set."""
    arrival = clock()
    for number, (image, time) in enumerate(video.frames()):
        if stop.is_set():
            return
        yield Frame(video.path, read(image, frame_name(video.path, time)), arrival, 0, number, time)
        arrival = clock()


def camera_frames(
    video: Video, read: Callable[[Image.Image, str], T], stop: Event, *, clock: Callable[[], float] = monotonic
) -> Iterator[Frame[T]]:
    """Yield frames of a camera until `stop` is set or it is disconnected.

    A thread receives them; the oldest are dropped if they arrive faster than they are taken.
    """
    backlog: Backlog[VideoFrame] = Backlog(stop, MAX_WAITING, clock)
    thread = Thread(target=_receive, args=(video, backlog, stop), name="opsin-camera", daemon=True)
    thread.start()
    number = 0
    try:
        while taken := backlog.take():
            image, time = taken.item
            number += taken.dropped
            content = read(image, frame_name(video.path, time))
            yield Frame(video.path, content, taken.arrival, taken.dropped, number, time)
            number += 1
    finally:
        stop.set()
        thread.join(CLOSING_SECONDS)


def _receive(video: Video, backlog: Backlog[VideoFrame], stop: Event) -> None:
    try:
        for frame in video.frames():
            if stop.is_set():
                break
            backlog.put(frame)
    except Exception as error:
        backlog.close(error)
    finally:
        backlog.close()
