"""Read videos and cameras with PyAV, an extra, which brings the libraries of FFmpeg.

Frames are decoded one at a time, so that the length of a video does not matter. Without PyAV, a `DataError` says what
to install.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from PIL import Image

from opsin.base.errors import DataError
from opsin.base.optional import require
from opsin.data.video_names import is_camera

CAMERA_FORMAT = "v4l2"
"""FFmpeg's name for the cameras of Linux."""

DEFAULT_RATE, MAX_RATE = Fraction(30), 1000
"""Frames per second where a video does not say, and the most that are believed."""

MISSING_SHARE = 0.1
"""The share of a video's frames that may be missing before it counts as cut short: editing leaves some out."""


class VideoFrame(NamedTuple):
    """An upright RGB image, and its time in seconds from the first frame."""

    image: Image.Image
    time: float


def pyav() -> Any:
    """Return the package av. Raise `DataError` if it is not installed."""
    return require("av", DataError, "videos and cameras need PyAV; install it with: pip install 'opsin[video]'")


class Video:
    """An open video file or camera. Raise `DataError` if it cannot be read."""

    def __init__(self, path: str) -> None:
        self.path, self.is_camera = path, is_camera(path)
        self._av = pyav()
        self._container = self._open()
        if not self._container.streams.video:
            self.close()
            raise DataError(f"{path} has no images, only sound or text; give a video")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "SLICE" if self.is_camera else "AUTO"  # threads for frames delay them

    @property
    def rate(self) -> Fraction:
        """The frames per second."""
        rate = self._stream.guessed_rate or self._stream.average_rate or DEFAULT_RATE
        return Fraction(rate) if 0 < rate <= MAX_RATE else DEFAULT_RATE

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file or release the camera."""
        self._container.close()

    def frames(self) -> Iterator[VideoFrame]:
        """Yield the frames in the order of their times.

        Damaged parts are left out; after the last frame, a `DataError` says so, or that there are no frames.
        """
        count, first, damaged = 0, 0.0, ""
        for packet in self._packets():
            try:
                frames = self._stream.decode(packet)
            except self._av.FFmpegError as error:
                damaged = damaged or f"is damaged ({error.strerror}) after frame {count:,}"
                continue
            for frame in frames:
                time = float(count / self.rate) if frame.time is None else frame.time
                first = first if count else time
                count += 1
                yield VideoFrame(_upright(frame), max(0.0, time - first))
        if self._stream.frames - count > MISSING_SHARE * self._stream.frames and not damaged:
            damaged = f"is cut short: it has {count:,} of {self._stream.frames:,} frames"
        if damaged or not count:
            raise DataError(f"{self.path} {damaged or 'has no frames'}; record or copy it again")

    def _packets(self) -> Iterator[Any]:
        """Yield the parts of the file. An error of a file ends it: then None, for the frames that the decoder has.

        Raise `DataError` for that of a camera.
        """
        try:
            yield from self._container.demux(self._stream)
        except self._av.FFmpegError as error:
            if self.is_camera:
                text = f"the camera {self.path} gives no more images: {error.strerror}; see that it is connected"
                raise DataError(text) from None
            yield None

    def _open(self) -> Any:
        try:
            if self.is_camera:
                return self._av.open(self.path, format=CAMERA_FORMAT)
            return self._av.open(f"file:{self.path}")  # the protocol, since names may have colons
        except FileNotFoundError:
            kind = "camera; see that it is connected" if self.is_camera else "file; give the path of a video"
            raise DataError(f"{self.path}: there is no such {kind}") from None
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise DataError(self._explanation(error)) from None

    def _explanation(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error)
        if self.is_camera:
            return f"the camera {self.path} cannot be used: {reason}; see that no other program uses it"
        if os.path.isfile(self.path) and not Path(self.path).stat().st_size:
            return f"{self.path} is empty, not a video; record or copy it again"
        return f"{self.path} is no video, damaged, or cut short ({reason}); record or copy it again"


def _upright(frame: Any) -> Image.Image:
    """Return a frame as an RGB image, rotated as the video says; phones record every video in landscape format."""
    image: Image.Image = frame.to_image()
    angle = getattr(frame, "rotation", 0)  # since PyAV 14
    return image.rotate(angle, expand=True) if angle else image
