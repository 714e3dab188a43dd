"""Decode clips with PyAV, an extra, which brings the libraries of FFmpeg: frames at given times, and no others.

A file is opened twice: first for the times of its packets, which takes no decoding, then for the frames that are
wanted. FFmpeg may only read the bytes of the file itself: formats that name other files or addresses, such as
playlists, are not on the list of allowed ones, and neither is any protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError
from opsin.base.file_types import HEAD, identify
from opsin.base.image_limits import MAX_PIXELS
from opsin.base.optional import require

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,gif"
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}

DEFAULT_RATE, MAX_RATE = 30.0, 1000.0
"""Frames per second where a file does not say, and the most that are believed."""

MAX_FRAMES = 200_000
"""Frames of a clip: nearly two hours at 30 a second. Longer films have to be cut into clips first."""

MAX_SHAPE_RATIO = 64
"""Times that one side of a frame may be as long as the other."""

EPSILON = 1e-6
"""Seconds by which rounding may put a time before the beginning of a frame."""

MISSING_SHARE = 0.1
"""The share of its frames that a file may lack before it counts as cut short: editing leaves some out."""

SEEK_SECONDS = 2.0
"""Frames before the wanted ones that are decoded rather than skipped."""


@dataclass(frozen=True)
class ClipInfo:
    """The times of a clip's frames in seconds from the first one, ascending, and its mean frames per second.

    `ticks` are the frames' times in units of the file, and `tick` is the unit in seconds; `ticks` is None if packets
    have no times, so that frames are told apart by their numbers. `declared` is the number of frames by the header, 0
    if it does not say.
    """

    times: NDArray[np.float64]
    ticks: NDArray[np.int64] | None
    tick: float
    rate: float
    declared: int

    @property
    def seconds(self) -> float:
        """The time from the beginning of the first frame to the end of the last one."""
        return float(self.times[-1]) + 1 / self.rate

    @property
    def is_cut(self) -> bool:
        """Whether the file lacks frames that its header declares."""
        return self.declared - len(self.times) > MISSING_SHARE * self.declared


def clip_info(data: bytes, name: str) -> ClipInfo:
    """Return the times of the frames in a file. Raise `DataError` if it is no video, or has no frames."""
    with closing(_opened(data, name)) as container:
        stream = _stream(container, name)
        size = stream.width, stream.height
        if min(size) < 1 or size[0] * size[1] > MAX_PIXELS or max(size) > MAX_SHAPE_RATIO * min(size):
            raise DataError(f"{name}: its frames have {size[0]:,} × {size[1]:,} pixels; make them smaller first")
        rate = float(stream.guessed_rate or stream.average_rate or DEFAULT_RATE)
        rate = rate if 0 < rate <= MAX_RATE else DEFAULT_RATE
        ticks: list[int | None] = []
        with suppress(_av().FFmpegError):
            for packet in container.demux(stream):
                if packet.size and not getattr(packet, "is_discard", False):
                    ticks.append(packet.pts)
                if len(ticks) > MAX_FRAMES:
                    raise DataError(f"{name}: it has more than {MAX_FRAMES:,} frames; cut it into clips")
        declared, tick = int(stream.frames), float(stream.time_base or 0)
    if not ticks:
        raise DataError(f"{name}: it has no frames; record or copy it again")
    known = [value for value in ticks if value is not None]
    if len(known) < len(ticks) or tick <= 0:
        return ClipInfo(np.arange(len(ticks)) / rate, None, 0.0, rate, declared)
    ordered = np.unique(np.array(known, np.int64))
    return ClipInfo((ordered - ordered[0]) * tick, ordered, tick, rate, declared)


def frames_at(data: bytes, name: str, info: ClipInfo, times: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Return the frames that are shown at `times` in seconds, T × `side` × `side` × 3.

    Where a frame is damaged, the nearest one that is not stands for it. Raise `DataError` if less than half of them can
    be decoded.
    """
    shown = _shown(info.times, times)
    wanted = {int(number) for number in shown}
    keys = list(range(len(info.times))) if info.ticks is None else info.ticks.tolist()
    number_of = {key: number for number, key in enumerate(keys) if number in wanted}
    found: dict[int, NDArray[np.uint8]] = {}
    with closing(_opened(data, name)) as container:
        stream = _stream(container, name)
        stream.codec_context.thread_count = 1  # clips are decoded in parallel, and not the frames of one
        _skip(container, stream, info, min(wanted))
        for position, frame in enumerate(_decoded(container, stream)):
            number = number_of.get(position if info.ticks is None else frame.pts)
            if number is not None and number not in found:
                found[number] = _resized(frame, side)
                if len(found) == len(wanted):
                    break
    if 2 * len(found) < len(wanted):
        raise DataError(f"{name}: only {len(found)} of {len(wanted)} frames can be decoded; record or copy it again")
    usable = np.array(sorted(found))
    return np.stack([found[int(usable[np.abs(usable - number).argmin()])] for number in shown])


def _av() -> Any:
    return require("av", DataError, "clips of video need PyAV; install it with: pip install 'opsin[video]'")


def _opened(data: bytes, name: str) -> Any:
    """Open a file. Raise `DataError` with the reason if it is no video."""
    av = _av()
    if not data:
        raise DataError(f"{name}: it is empty; record or copy it again")
    try:
        return av.open(BytesIO(data), options=OPTIONS)
    except (av.FFmpegError, ValueError) as error:
        kind = identify(data[:HEAD])
        what = f"it is {kind.what}, not a video" if kind else "it is no video, damaged, or cut short"
        raise DataError(f"{name}: {what} ({getattr(error, 'strerror', None) or error})") from None


def _stream(container: Any, name: str) -> Any:
    if not container.streams.video:
        raise DataError(f"{name}: it has no images, only sound or text; give a video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DataError(f"{name}: its compression is not known; convert it to H.264")
    return stream


def _skip(container: Any, stream: Any, info: ClipInfo, first: int) -> None:
    """Go to a frame from which the frame numbered `first` can be decoded, if that is far from the beginning."""
    if info.ticks is None or info.times[first] < SEEK_SECONDS:
        return
    with suppress(_av().FFmpegError, ValueError):
        container.seek(int(info.ticks[first]), stream=stream, backward=True)


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the frames that can be decoded."""
    error_type = _av().FFmpegError
    with suppress(error_type):  # the end of a file that is cut short
        for packet in container.demux(stream):
            try:
                frames = stream.decode(packet)
            except error_type:
                continue
            yield from frames


def _resized(frame: Any, side: int) -> NDArray[np.uint8]:
    """Return a frame as a square RGB image, rotated as the file says; phones record in landscape format."""
    image: Image.Image = frame.to_image()
    angle = getattr(frame, "rotation", 0)
    if angle:
        image = image.rotate(angle, expand=True)
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))


def _shown(begins: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the number of the frame that is shown at each time; `begins` ascend from 0."""
    return np.maximum(np.searchsorted(begins, times + EPSILON, side="right") - 1, 0)
