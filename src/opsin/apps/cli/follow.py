"""`opsin predict` of frames that arrive one after the other: from a folder that grows, a video or a camera.

Three threads read frames, compute answers, and draw and write images, each a few frames ahead of the next; the main
thread prints. A frame takes as long as the slowest of these.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from opsin.apps.cli.arithmetic import Arithmetic, ArithmeticOptions
from opsin.apps.cli.frame_sinks import Sink, create_sink
from opsin.apps.cli.frame_statistics import FrameStatistics
from opsin.apps.cli.lazy import command
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import StatusLine, print_error, print_json_line
from opsin.apps.cli.predict import DONT_KNOW, default_top
from opsin.apps.cli.sound_options import SoundOptions
from opsin.base.errors import DataError, UsageError
from opsin.data.decode import read_image
from opsin.data.file_io import read_file
from opsin.data.frame_stacks import FrameHistory
from opsin.data.frames import FolderFrames, Frame, Video, camera_frames, video_frames
from opsin.data.parallel import in_thread
from opsin.data.video_names import is_video
from opsin.inputs.registry import SOUND
from opsin.model import Model
from opsin.model.samples import require_images
from opsin.training.interrupt import Interruption


@dataclass(frozen=True)
class FollowOptions:
    """The options of `opsin predict` that concern frames. `idle` is in seconds."""

    as_json: bool = False
    top: int | None = None
    out: str | None = None
    idle: float | None = None


class Pixels(NamedTuple):
    """An image as the network takes it, uint8 C×H×W, the height and width of the image, and itself if it is drawn."""

    array: NDArray[np.uint8]
    size: tuple[int, int]
    image: Image.Image | None


@dataclass(frozen=True)
class Answered:
    """A frame with its answer, or with an error."""

    frame: Frame[Pixels]
    answer: Any


class StopOnInterrupt(Interruption):
    """Sets an event at the first Ctrl-C."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self._event = event

    def _handle(self, number: int, frame: FrameType | None) -> None:
        super()._handle(number, frame)
        self._event.set()


def run(
    name: str,
    inputs: Sequence[str],
    as_json: bool,
    top: int | None,
    out: str | None,
    idle: float | None,
    arithmetic: ArithmeticOptions = (),
    sound: SoundOptions | None = None,
) -> int:
    """Print a line per frame until the video ends, no file has come for `idle` seconds, or Ctrl-C; then a summary.

    The exit code is 1 if frames could not be read.
    """
    model = open_model(name)
    Arithmetic(*arithmetic).checked().apply(model)
    if model.kind == SOUND:
        if out or top:
            raise UsageError("--follow of sound prints words; leave out --out and --top")
        return command("follow_sound")(model, inputs, as_json, idle, sound or SoundOptions())
    require_images(model, "--follow")
    if sound:
        sound.require_none()
    source = _only(inputs)
    return _follow(model, source, FollowOptions(as_json, default_top(model, top), out, idle))


def _follow(model: Model, source: str, options: FollowOptions) -> int:
    stop, statistics = Event(), FrameStatistics()
    with ExitStack() as stack:
        video = stack.enter_context(Video(source)) if is_video(source) else None
        sink = create_sink(options.out, source, video.rate if video else None)
        stack.callback(sink.discard)
        model.answers([(np.zeros(model.preprocessing.shape, np.uint8), model.preprocessing.size)])  # compiles it
        stack.enter_context(StopOnInterrupt(stop))
        frames = _frames(model, source, video, stop, options)
        answers = stack.enter_context(closing(_pipeline(model, frames, sink, options)))
        stack.callback(stop.set)  # before the pipeline is closed, which waits for the next frame
        failure = _print_all(answers, statistics, options.as_json)
        sink.commit()
    typer.echo("\n".join(statistics.summary()), err=options.as_json)
    if failure:
        print_error(str(failure))
    return 1 if failure or statistics.errors else 0


def _only(inputs: Sequence[str]) -> str:
    """Return the source. Raise `UsageError` or `DataError` unless it is one folder, video or camera."""
    source, *others = inputs
    if others:
        raise UsageError(
            f"{len(inputs)} inputs: a folder to follow, a video or a camera must be alone; leave out the others"
        )
    if is_video(source):
        return source
    if not os.path.isdir(source):
        raise DataError(f"{source} is not a folder; --follow takes a folder, a video or a camera such as /dev/video0")
    return source


def _frames(
    model: Model, source: str, video: Video | None, stop: Event, options: FollowOptions
) -> Iterator[Frame[Pixels]]:
    """Return the frames as the model takes them."""
    is_drawn = options.out is not None

    def read(image: Path | Image.Image, name: str) -> Pixels:
        content = read_file(image, name) if isinstance(image, Path) else image
        array, size = model.reader.read_with_size(content, name)
        if not is_drawn or isinstance(content, Image.Image):
            return Pixels(array, size, content if isinstance(content, Image.Image) and is_drawn else None)
        return Pixels(array, size, read_image(content, name, model.preprocessing.pixel_range))

    if video:
        return (camera_frames if video.is_camera else video_frames)(video, read, stop)
    exclude = Path(options.out) if options.out else None
    return iter(FolderFrames(Path(source), read, stop, idle=options.idle, exclude=exclude))


def _pipeline(
    model: Model, frames: Iterator[Frame[Pixels]], sink: Sink, options: FollowOptions
) -> Generator[Answered, None, None]:
    """Yield the frames with their answers, after they are drawn and written."""
    history = model.history()
    answered = in_thread(_answer(model, each, options.top, history) for each in in_thread(frames))
    return in_thread(_write(model, each, sink) for each in answered)


def _answer(model: Model, frame: Frame[Pixels], top: int | None, history: FrameHistory) -> Answered:
    if isinstance(frame.content, DataError):
        return Answered(frame, None)
    return Answered(frame, *model.answers([(frame.content.array, frame.content.size)], top, history))


def _write(model: Model, answered: Answered, sink: Sink) -> Answered:
    """Draw the answer, write the image, and return the answer without the image."""
    content = answered.frame.content
    if isinstance(content, DataError):
        return answered
    if content.image is not None:
        drawn = model.task.draw(content.image, answered.answer)
        sink.write(answered.frame.name, answered.frame.time, drawn, content.image.size)
    return replace(answered, frame=replace(answered.frame, content=content._replace(image=None)))


def _print_all(answers: Iterator[Answered], statistics: FrameStatistics, as_json: bool) -> DataError | None:
    """Print the answers as they come. Return the error that ended them, if any."""
    with StatusLine() as status:
        try:
            for each in answers:
                statistics.add(each.frame)
                status.show("")
                _print(each, statistics.latency, as_json)
                status.show(statistics.status())
        except DataError as error:
            return error
    return None


def _print(answered: Answered, latency: float, as_json: bool) -> None:
    frame = answered.frame
    if as_json:
        print_json_line(_data(frame, answered.answer, latency))
    elif isinstance(frame.content, DataError):
        print_error(str(frame.content))
    else:
        dropped = f"   ({frame.dropped:,} skipped before)" if frame.dropped else ""
        typer.echo(f"{frame}   {_text(answered.answer)}{dropped}")


def _text(answer: Any) -> str:
    return f"{DONT_KNOW}, perhaps {answer}" if getattr(answer, "reliable", None) is False else str(answer)


def _data(frame: Frame[Pixels], answer: Any, latency: float) -> dict[str, Any]:
    place = {} if frame.number is None else {"frame": frame.number, "time": frame.time}
    result = {"error": str(frame.content)} if isinstance(frame.content, DataError) else answer.to_data()
    return {"image": frame.name, **place, **result, "skipped": frame.dropped, "latency": round(latency, 4)}
