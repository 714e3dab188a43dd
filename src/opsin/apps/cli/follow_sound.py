"""`opsin predict --follow` of sound: raw samples on standard input, or a microphone.

One thread receives samples, and this one computes answers: for the last second of sound, say, ten times a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from threading import Event, Thread
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
import typer

from opsin.apps.cli.follow import StopOnInterrupt
from opsin.apps.cli.microphone import is_microphone, recording
from opsin.apps.cli.output import StatusLine, print_error, print_json_line
from opsin.apps.cli.sound_backlog import SoundBacklog
from opsin.apps.cli.sound_options import SoundOptions
from opsin.apps.cli.sound_statistics import SoundStatistics
from opsin.base.errors import DataError, UsageError
from opsin.base.formatting import percent
from opsin.inputs.sound.keywords import Keyword, Keywords, is_silent
from opsin.inputs.sound.resample import MAX_RATE, MIN_RATE
from opsin.inputs.sound.windows import Window, Windows
from opsin.model import Model

STEP_SECONDS = 0.1
"""From one window to the next."""

THRESHOLD, HOLD_SECONDS = 0.8, 0.5

MAX_WAITING_SECONDS = 2.0
"""Of sound on standard input; beyond that, the program that writes it has to wait."""

MAX_DELAY_SECONDS = 0.5
"""If more sound of a microphone waits than this, windows are skipped until less waits."""

STANDARD_INPUT = "-"


class Answer(NamedTuple):
    """The most likely label for a window, and the word that is recognised with it, if any."""

    end: float
    label: str
    probability: float
    keyword: Keyword | None


def run(model: Model, inputs: Sequence[str], as_json: bool, idle: float | None, options: SoundOptions) -> int:
    """Print words as they come until the sound ends, none comes for `idle` seconds, or Ctrl-C; then a summary.

    The exit code is 1 if the sound could not be read.
    """
    source, rate = _source(inputs), _rate(model, options)
    if not hasattr(model.task, "probabilities"):
        raise UsageError(f"{model.name} does {model.task.name}; --follow takes models of sounds with labels")
    stop, failure = Event(), None
    statistics = SoundStatistics()
    with ExitStack() as stack:
        stack.enter_context(StopOnInterrupt(stop))
        model.threads = 1  # one window at a time; threads would only wait for each other
        answers = _Answers(model, rate, options)
        backlog = SoundBacklog(stop, None if is_microphone(source) else round(MAX_WAITING_SECONDS * rate))
        stack.enter_context(_receiving(source, rate, backlog))
        stack.callback(stop.set)
        status = stack.enter_context(StatusLine())
        try:
            for answer, latency in _answered(answers, backlog, statistics, idle, is_microphone(source)):
                behind = backlog.waiting / rate
                statistics.add(latency, behind, answer.keyword is not None)
                status.show("")
                _print(answer, latency, behind, as_json)
                status.show(f"{answer.end:.1f} s, {behind:.1f} s behind")
        except DataError as error:
            failure = error
    typer.echo("\n".join(statistics.summary(answers.seconds)), err=as_json)
    if failure:
        print_error(str(failure))
    return 1 if failure else 0


class _Answers:
    """Answers for the windows of a stream."""

    def __init__(self, model: Model, rate: int, options: SoundOptions) -> None:
        self._model = model
        self.windows = Windows(model.input, rate, STEP_SECONDS)
        threshold = THRESHOLD if options.threshold is None else options.threshold
        self._keywords = Keywords(model.labels, threshold, HOLD_SECONDS if options.hold is None else options.hold)
        silence: Any = np.zeros((1, *model.input.shape), np.int16)
        model.probabilities(silence)  # compiles the program

    @property
    def seconds(self) -> float:
        return self.windows.seconds

    def answer(self, window: Window) -> Answer:
        samples: Any = self.windows.sample(window)[None]
        probabilities = self._model.probabilities(samples)[0]
        best = int(probabilities.argmax())
        heard = np.zeros_like(probabilities) if is_silent(window.samples) else probabilities
        keyword = self._keywords.add(heard, window.end)
        return Answer(window.end, self._model.labels[best], float(probabilities[best]), keyword)


def _answered(
    answers: _Answers, backlog: SoundBacklog, statistics: SoundStatistics, idle: float | None, skips: bool
) -> Iterator[tuple[Answer, float]]:
    """Yield the answers with their latencies: the seconds from the arrival of a window's last sample."""
    limit = MAX_DELAY_SECONDS * answers.windows.rate
    arrival = monotonic()
    while block := backlog.take(idle):
        arrival = block.arrival
        for window in answers.windows.push(block.samples):
            if skips and backlog.waiting > limit:
                statistics.skipped += 1
            else:
                yield answers.answer(window), monotonic() - arrival
    for window in answers.windows.last():
        yield answers.answer(window), monotonic() - arrival


def _source(inputs: Sequence[str]) -> str:
    source, *others = inputs
    if others or not (source == STANDARD_INPUT or is_microphone(source)):
        raise UsageError(
            f"--follow of sound takes - for raw 16-bit samples on standard input, or microphone, not {' '.join(inputs)}"
        )
    return source


def _rate(model: Model, options: SoundOptions) -> int:
    rate = model.input.rate if options.rate is None else options.rate
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UsageError(f"--rate {rate}: give the samples per second, {MIN_RATE:,} to {MAX_RATE:,}")
    return int(rate)


def _receiving(source: str, rate: int, backlog: SoundBacklog) -> AbstractContextManager[Any]:
    """Begin to receive sound into `backlog`."""
    block = max(1, round(STEP_SECONDS * rate))
    if is_microphone(source):
        return recording(source, rate, block, backlog.put)
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("no sound on standard input: pipe 16-bit samples into it, such as those of `arecord -t raw`")
    Thread(target=_read_all, args=(sys.stdin.fileno(), 2 * block, backlog), name="opsin-sound", daemon=True).start()
    return nullcontext()


def _read_all(file: int, count: int, backlog: SoundBacklog) -> None:
    """Put everything that can be read from a file descriptor into `backlog`, as soon as it comes."""
    rest, is_first = b"", True
    try:
        while content := os.read(file, count):
            content = rest + content
            if is_first and len(content) >= 4:
                is_first = False
                if content[:4] in (b"RIFF", b"fLaC", b"OggS", b"ID3\x03", b"ID3\x04"):
                    raise DataError(
                        "standard input is a file of sound, not raw samples: leave out --follow, or pipe 16-bit "
                        "samples into it, such as those of `arecord -t raw` or `ffmpeg -f s16le -ac 1`"
                    )
            whole = len(content) // 2 * 2
            content, rest = content[:whole], content[whole:]
            if content:
                backlog.put(content)
    except DataError as error:
        backlog.close(error)
    except OSError as error:
        backlog.close(DataError(f"standard input cannot be read: {error.strerror}"))
    backlog.close()


def _print(answer: Answer, latency: float, behind: float, as_json: bool) -> None:
    keyword = answer.keyword
    if as_json:
        print_json_line(
            {
                "time": round(answer.end, 3), "label": answer.label, "probability": round(answer.probability, 4),
                "word": keyword.word if keyword else None, "latency": round(latency, 4), "behind": round(behind, 3),
            }
        )  # fmt: skip
    elif keyword:
        typer.echo(f"{keyword.time:8.1f} s   {keyword.word} ({percent(keyword.probability)})")
