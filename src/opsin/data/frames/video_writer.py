"""Write a video with PyAV, completely or not at all: H.264 if it was built with an encoder for it, otherwise MPEG-4."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from opsin.base.atomic import AtomicFile
from opsin.base.errors import DataError, UsageError
from opsin.data.frames.video import pyav

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""FFmpeg's names of the containers by the extension of the file. AVI has no times for frames, as H.264 needs them."""

ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libopenh264": {},
    "mpeg4": {},
}
"""Encoders in the order of preference, with their options."""

MAX_TICKS = 65535
"""The largest numerator of the rate in MPEG-4."""

BITS_PER_PIXEL = 0.2
"""The size of a frame for encoders without a constant quality."""


class VideoWriter:
    """A video of `rate` frames per second, in the size of the first image, which is rounded up to even numbers.

    The file appears on `commit`. Raise `UsageError` for a name whose extension is not that of a container, or a file
    that cannot be written.
    """

    def __init__(self, path: str, rate: Fraction) -> None:
        ending = Path(path).suffix.lower()
        if ending not in FORMATS:
            raise UsageError(f"a video cannot be written as '{path}'; give it a name that ends in {', '.join(FORMATS)}")
        self._av, self._path = pyav(), path
        self._rate = rate.limit_denominator(max(1, int(MAX_TICKS / rate)))
        try:
            self._file = AtomicFile(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}; name another file") from None
        self._container = self._av.open(f"file:{self._file.temporary}", "w", format=FORMATS[ending])
        self._stream: Any = None
        self._last = -1

    def add(self, image: Image.Image, time: float) -> None:
        """Add a frame at a time in seconds; it is rounded to the next time at the video's rate that is free.

        Images of other sizes than the first one are cut, or extended by black.
        """
        try:
            self._add(image, time)
        except (self._av.FFmpegError, OSError) as error:
            raise DataError(f"{self._path} cannot be written: {error.strerror}; free some space") from None

    def commit(self) -> bool:
        """Finish the file and give it its name. Return False, and leave no file, if there are no frames."""
        if self._stream is None:
            self.discard()
            return False
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._file.commit()
        except (self._av.FFmpegError, OSError) as error:
            self.discard()
            raise DataError(f"{self._path} cannot be written: {error.strerror}; free some space") from None
        return True

    def discard(self) -> None:
        """Remove the unfinished file; do nothing after a `commit`."""
        with suppress(self._av.FFmpegError, OSError):
            self._container.close()
        self._file.discard()

    def _add(self, image: Image.Image, time: float) -> None:
        if self._stream is None:
            self._stream = self._started(image.width + image.width % 2, image.height + image.height % 2)
        size = self._stream.width, self._stream.height
        frame = self._av.VideoFrame.from_image(_padded(image, size))
        self._last = frame.pts = max(self._last + 1, round(time * self._rate))
        frame.time_base = 1 / self._rate
        self._container.mux(self._stream.encode(frame))

    def _started(self, width: int, height: int) -> Any:
        name = next(name for name in ENCODERS if name in self._av.codecs_available)
        stream = self._container.add_stream(name, rate=self._rate, options=ENCODERS[name])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if not ENCODERS[name]:
            stream.bit_rate = int(BITS_PER_PIXEL * width * height * self._rate)
        return stream


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.crop((0, 0, *size))
