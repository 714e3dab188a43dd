"""Where annotated frames go: nowhere, a folder of images, or a video."""

from __future__ import annotations

import os
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Protocol

from PIL import Image

from opsin.apps.cli.annotated_copies import JPEG_QUALITY
from opsin.base.atomic import atomic_write
from opsin.base.errors import UsageError
from opsin.data.frames import VideoWriter
from opsin.data.video_names import is_video

JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")


class Sink(Protocol):
    """Takes annotated frames."""

    def write(self, name: str, time: float | None, drawn: Image.Image, size: tuple[int, int]) -> None:
        """Write a frame that was drawn from one of this width and height."""

    def commit(self) -> None:
        """Finish what was written."""

    def discard(self) -> None:
        """Remove what is not finished."""


def create_sink(out: str | None, source: str, rate: Fraction | None) -> Sink:
    """Return the sink for `out`; `rate` is that of the source if it is a video.

    Raise `UsageError` if the two do not go together, or the source would be overwritten.
    """
    if out is None:
        return NoSink()
    if os.path.exists(out) and os.path.samefile(out, source):
        raise UsageError(f"--out {out} is what is read; name another file or folder")
    if not is_video(out):
        return FolderSink(Path(out), Path(source))
    if rate is None:
        raise UsageError(f"--out {out}: the frames of a folder are written to a folder; name one without an extension")
    return VideoSink(out, rate)


class NoSink:
    """Writes nothing."""

    def write(self, name: str, time: float | None, drawn: Image.Image, size: tuple[int, int]) -> None:
        """Do nothing."""

    def commit(self) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""


class FolderSink:
    """Writes an image for each frame: `street.answer.jpg` for `street.jpg`, and numbered if the source is a video."""

    def __init__(self, folder: Path, source: Path) -> None:
        self._folder, self._source, self._count = folder, source, 0
        self._make(folder)

    def write(self, name: str, time: float | None, drawn: Image.Image, size: tuple[int, int]) -> None:
        """Write the file at once or not at all: JPEG and PNG like the frame's file, and others as JPEG."""
        relative = f"{self._count:06}.jpg" if time is not None else os.path.relpath(name, self._source)
        self._count += 1
        stem, ending = os.path.splitext(relative)
        is_png = ending.lower() == ".png"
        if not is_png and ending.lower() not in JPEG_ENDINGS:
            stem = relative
        content = BytesIO()
        drawn.save(content, "PNG" if is_png else "JPEG", quality=JPEG_QUALITY, compress_level=1)
        path = self._folder / f"{stem}.answer.{'png' if is_png else 'jpg'}"
        self._make(path.parent)
        try:
            atomic_write(path, content.getvalue(), durable=False)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}; free some space or name another") from None

    def commit(self) -> None:
        """Do nothing: each file is finished."""

    def discard(self) -> None:
        """Do nothing: each file is finished."""

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out {folder}: no folder can be made there: {error.strerror}; name another") from None


class VideoSink:
    """Writes a video."""

    def __init__(self, path: str, rate: Fraction) -> None:
        self._writer = VideoWriter(path, rate)

    def write(self, name: str, time: float | None, drawn: Image.Image, size: tuple[int, int]) -> None:
        """Add the frame; what was added below it, such as a legend, covers its lower edge."""
        self._writer.add(fitted(drawn, size), time or 0.0)

    def commit(self) -> None:
        """Give the file its name."""
        self._writer.commit()

    def discard(self) -> None:
        """Remove the file if it is not finished."""
        self._writer.discard()


def fitted(drawn: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a drawing with the aspect ratio of the original, of this width and height, which all frames share.

    A drawing may be larger by a whole number, and have more rows below, as many as its legend needs.
    """
    height = drawn.width // size[0] * size[1]
    if drawn.height <= height:
        return drawn
    result = drawn.crop((0, 0, drawn.width, height))
    legend = drawn.crop((0, max(height, drawn.height - height), drawn.width, drawn.height))
    result.paste(legend, (0, height - legend.height))
    return result
