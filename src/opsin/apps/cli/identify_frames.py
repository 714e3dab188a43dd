"""`opsin identify` of a video, or of a camera until Ctrl-C: who each frame shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import typer

from opsin.apps.cli.follow import StopOnInterrupt
from opsin.apps.cli.identify import Results, data, texts
from opsin.apps.cli.output import COLUMN_GAP, print_error, print_json_line
from opsin.base.errors import DataError, UsageError
from opsin.data.frames import Video, camera_frames, video_frames


def run(sources: Sequence[str], read: Callable[[Any], Results], as_json: bool) -> int:
    """Print a line for each identity in each frame. Frames of a camera that come too fast are left out."""
    if len(sources) > 1:
        raise UsageError(f"{len(sources)} inputs: a video or a camera must be alone; leave out the others")
    stop = Event()
    with Video(sources[0]) as video, StopOnInterrupt(stop):
        frames = camera_frames if video.is_camera else video_frames
        try:
            for frame in frames(video, lambda image, _: read(image), stop):
                _print(str(frame), frame.content, as_json)
        except DataError as error:  # after the last frame that could be read
            print_error(str(error))
            return 1
    return 0


def _print(name: str, results: Results | DataError, as_json: bool) -> None:
    if as_json:
        for row in data(name, results):
            print_json_line(row)
        return
    for cells in texts(name, results):
        typer.echo(COLUMN_GAP.join(filter(None, cells)))
