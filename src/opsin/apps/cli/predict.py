"""`opsin predict`: ask a model about images."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import typer

from opsin.apps.answer_data import answer_data
from opsin.apps.cli.annotated_copies import AnnotatedCopies
from opsin.apps.cli.arithmetic import Arithmetic, ArithmeticOptions
from opsin.apps.cli.images import paths_of, warn_about_frames
from opsin.apps.cli.lazy import command
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import print_error, print_json, table
from opsin.apps.cli.rows import row_contents
from opsin.apps.cli.sound_options import SoundOptions
from opsin.base.errors import DataError, OpsinError, UsageError
from opsin.base.formatting import percent
from opsin.data.batches import MAX_BATCH
from opsin.data.file_io import MAX_IMAGE_BYTES
from opsin.data.video_names import is_video
from opsin.inputs.registry import IMAGE, SEVERAL, TEXT, VIDEO
from opsin.model import Model, Prediction
from opsin.model.inputs import Sized
from opsin.model.samples import require_images

DONT_KNOW = "don't know"

LABELS = 5
"""Labels for each image, if the options do not say how many."""

BATCH = MAX_BATCH
"""Images that are decoded and predicted at once, which bounds the memory."""

Content: TypeAlias = Path | bytes | Mapping[str, Any] | DataError
"""A file, the bytes of standard input, the values of a row, or why there is none."""


@dataclass(frozen=True)
class Result:
    """The answer for an image, or why there is none. `content` is its path, or the bytes of standard input."""

    name: str
    answer: Any
    content: Path | bytes


def run(
    name: str,
    images: Sequence[str],
    as_json: bool,
    top: int | None,
    out: str | None,
    follow: bool = False,
    idle: float | None = None,
    arithmetic: ArithmeticOptions = (),
    sound: tuple[int | None, float | None, float | None] = (None, None, None),
) -> int:
    """Print a line per image with the model's answer, or "don't know" if the model is not sure enough.

    With `out`, write each image with its answer into this folder; if that fails, the answers so far are printed. Files
    that cannot be read are reported after the answers for the others. The exit code is then 1. Videos, cameras, and
    with `follow` folders are read by frames, except by a model of clips, which answers for a clip as a whole. `sound`
    is the rate, the threshold and the hold time for sound that `follow` takes.
    """
    settings = Arithmetic(*arithmetic).checked()
    has_video = any(map(is_video, images))
    model = open_model(name) if has_video and not follow else None
    if follow or (model and model.kind != VIDEO):
        return command("follow")(name, images, as_json, top, out, idle, arithmetic, SoundOptions(*sound))
    SoundOptions(*sound).require_none()
    model = model or open_model(name)
    settings.apply(model)
    if model.kind != IMAGE and out:
        require_images(model, "--out")
    copies = AnnotatedCopies(Path(out), model.task) if out else None
    contents, results = _all_contents(model, images), list[Result]()
    warn_about_frames(len(contents), model.preprocessing)
    try:
        for result in _answers(model, contents, top):
            results.append(result)
            if copies and not isinstance(result.answer, DataError):
                copies.write(result.name, result.content, result.answer)
    except OpsinError:  # a copy could not be written: what was computed until then is not lost
        if results:
            _print_results(results, model, as_json)
        raise
    return _print_results(results, model, as_json)


def _print_results(results: Sequence[Result], model: Model, as_json: bool) -> int:
    """Print answers, and then errors; return the exit code."""
    if as_json:
        print_json([answer_data(result.name, result.answer) for result in results])
    elif hasattr(model.task, "compare"):
        _print_comparisons(results, model)
    else:
        answers = [result for result in results if not isinstance(result.answer, DataError)]
        for line in table([_row(result.name, result.answer) for result in answers], left=(0, 1, 3)):
            typer.echo(line)
    errors = [result.answer for result in results if isinstance(result.answer, DataError)]
    for error in errors:
        print_error(str(error))
    return 1 if errors else 0


def _print_comparisons(results: Sequence[Result], model: Model) -> None:
    """Print how alike the first image is to each of the others."""
    answers = [result for result in results if not isinstance(result.answer, DataError)]
    if len(results) < 2:
        raise UsageError("this model compares images; give two or more, the first of which is compared with the others")
    rows = [
        (answers[0].name, each.name, str(model.task.compare(answers[0].answer, each.answer, model.calibration)))
        for each in answers[1:]
    ]
    for line in table(rows, left=(0, 1, 2)):
        typer.echo(line)


def _all_contents(model: Model, images: Sequence[str]) -> list[tuple[str, Content]]:
    if model.kind == SEVERAL:
        return list(row_contents(model.input, images))
    return [each for image in images for each in _contents(image, model.kind)]


def _contents(image: str, kind: str = IMAGE) -> Iterator[tuple[str, Content]]:
    """Yield the name and the path, or the bytes, of a file, of each image in a folder, or of standard input.

    For a model of texts, what is no file is a text itself.
    """
    if image == "-":
        try:
            yield "standard input", _standard_input()
        except DataError as error:
            yield "standard input", error
    elif kind == TEXT and not os.path.exists(image):
        yield image, image.encode("utf-8", "surrogateescape")
    else:
        try:
            yield from ((str(path), path) for path in paths_of(image))
        except DataError as error:
            yield image, error


def _standard_input() -> bytes:
    """Read standard input, at most one byte more than an image may have."""
    if sys.stdin is None:  # closed before the process started
        raise DataError("standard input is closed; pipe an image into the command, or name a file instead of -")
    try:
        return sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise DataError(f"standard input cannot be read: {error.strerror}; name a file instead of -") from None


def _answers(model: Model, contents: Sequence[tuple[str, Content]], top: int | None) -> Iterator[Result]:
    """Yield the answer, or the error, for each image, computed in batches."""
    history = model.history()
    for first in range(0, len(contents), BATCH):
        chunk = contents[first : first + BATCH]
        inputs = [_read(model, name, content) for name, content in chunk]
        answers = iter(
            model.answers(
                [each for each in inputs if not isinstance(each, DataError)], default_top(model, top), history
            )
        )
        for (name, content), each in zip(chunk, inputs, strict=True):
            is_error = isinstance(each, DataError) or isinstance(content, DataError)
            yield Result(
                name, each if is_error else next(answers), content if isinstance(content, Path | bytes) else b""
            )


def _read(model: Model, name: str, content: Content) -> Sized | DataError:
    if isinstance(content, DataError):
        return content
    try:
        if isinstance(content, Mapping):
            return model.input.row(content, name), model.reader.size
        if model.kind == IMAGE:
            return model.reader.read_with_size(content, name)
        return model.reader.read(content, name), model.reader.size
    except DataError as error:
        return error


def default_top(model: Model, top: int | None) -> int | None:
    """Return the number of labels or objects to list for an image; None: all."""
    return LABELS if top is None and hasattr(model.task, "probabilities") else top


def _row(name: str, answer: Any) -> tuple[str, ...]:
    if not isinstance(answer, Prediction) or answer.labels is not None:
        return name, str(answer), "", ""
    if answer.reliable is False:
        return name, DONT_KNOW, "", f"perhaps {_listed(answer.ranking)}"
    runners_up = answer.ranking[1:]
    return name, answer.label, percent(answer.probability), f"then {_listed(runners_up)}" if runners_up else ""


def _listed(ranked: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{label} ({percent(probability)})" for label, probability in ranked)
