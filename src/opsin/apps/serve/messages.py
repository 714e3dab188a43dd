"""What the process that speaks HTTP and the process that computes tell each other: pickles, each after its length.

Both ends are pipes between processes of one server. A pipe is also the queue: what has not been read waits in it.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import select
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

from opsin.apps.serve.limits import Limits

PIPE_BYTES = 2**20
"""The capacity of a pipe where the system lets it be set: what can arrive while a batch is computed."""

CHUNK_BYTES = 2**18
LENGTH_BYTES = 8


class Job(NamedTuple):
    """The images of a request, name and content of each. `deadline` is the end of the wait, by `time.monotonic`."""

    id: int
    model: str
    images: Sequence[tuple[str, bytes]]
    top: int | None
    deadline: float


class Answer(NamedTuple):
    """The answer to a job: an HTTP status, and JSON if it is 200, otherwise the text of the refusal."""

    id: int
    status: int
    body: bytes


class Answers(NamedTuple):
    """The answers to the jobs of a batch, and the number of `images` that a model has answered in it."""

    model: str
    images: int
    answers: Sequence[Answer]


class ModelData(NamedTuple):
    """What clients need to know of a model. `shape` are the channels, height and width of its images."""

    name: str
    task: str
    network: str
    labels: tuple[str, ...]
    shape: tuple[int, ...]


class Reload(NamedTuple):
    """A model file was read again. `result` is "done", "unchanged" or "failed", and `data` that of the model in use."""

    name: str
    result: str
    data: ModelData


@dataclass(frozen=True)
class Setup:
    """What the process that speaks HTTP needs to begin: the first message to it."""

    models: Sequence[ModelData]
    limits: Limits
    token: str | None


READY = "ready"
"""The first message from the process that speaks HTTP: it accepts connections."""


def frame(message: object) -> bytes:
    """Return a message as it is sent."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(data).to_bytes(LENGTH_BYTES, "little") + data


class Frames:
    """Messages that arrive through a pipe in pieces."""

    def __init__(self, pipe: int) -> None:
        self._pipe, self._buffer, self._end = pipe, bytearray(CHUNK_BYTES), 0
        self.is_empty = True
        """Whether the pipe had no more than was read last."""

    def read(self) -> list[Any]:
        """Read once; return the messages that are complete now. Raise `EOFError` at the end."""
        space = memoryview(self._buffer)[self._end :]
        size = os.readv(self._pipe, [space])
        if not size:
            raise EOFError
        self.is_empty = size < len(space)
        self._end += size
        start, messages = 0, list[Any]()
        while (end := self._frame_end(start)) <= self._end:
            messages.append(pickle.loads(memoryview(self._buffer)[start + LENGTH_BYTES : end]))
            start = end
        if start or end > len(self._buffer):
            self._move(start, end - start)
        return messages

    def _frame_end(self, start: int) -> int:
        """Return where the frame at `start` ends, or its length, if that has not arrived."""
        first = start + LENGTH_BYTES
        return first + int.from_bytes(self._buffer[start:first], "little") if first <= self._end else first

    def _move(self, start: int, size: int) -> None:
        """Move the frame at `start`, which has `size` bytes, to the beginning of a buffer that can hold it."""
        rest, size = self._buffer[start : self._end], max(CHUNK_BYTES, size)
        if size != len(self._buffer):
            self._buffer = bytearray(size)
        self._buffer[: len(rest)] = rest
        self._end = len(rest)


class Channel:
    """The end of the process that computes: a pipe to read and one to write. Any thread may send."""

    def __init__(self, reading: int, writing: int) -> None:
        self._writing, self._lock = writing, Lock()
        self._frames = Frames(reading)
        self._poll = select.poll()
        self._poll.register(reading, select.POLLIN)
        os.set_blocking(reading, False)
        for pipe in (reading, writing):
            with suppress(AttributeError, OSError):  # Not every system has this, and it may permit less.
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def receive(self, wait: bool) -> Iterator[Any]:
        """Yield the messages that have arrived; if `wait`, at least a piece of one. Raise `EOFError` at the end."""
        if wait:
            self._poll.poll()
        with suppress(BlockingIOError):
            yield from self._frames.read()
            while not self._frames.is_empty:
                yield from self._frames.read()

    def send(self, message: object) -> None:
        """Send a message; do nothing if the other end is closed."""
        data = memoryview(frame(message))
        with self._lock, suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._writing, data) :]
