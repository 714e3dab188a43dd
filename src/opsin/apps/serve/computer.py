"""The process that computes, as the process that speaks HTTP sees it: jobs go to it, and answers come back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from opsin.apps.serve.limits import Limits, too_busy
from opsin.apps.serve.messages import Answer, Answers, Frames, Reload, frame


@dataclass(eq=False)
class Waiting:
    """A job that has not been answered yet. Its client may have been refused; its images are in memory nevertheless."""

    future: asyncio.Future[Answer]
    deadline: float
    release: Callable[[], None]


class Computer:
    """Sends jobs, and completes their futures."""

    def __init__(self, limits: Limits, reading: int, writing: int, receive: Callable[[Answers | Reload], None]) -> None:
        """Read answers from one pipe and write jobs to another; `receive` gets each message that arrives."""
        self.limits = limits
        self._reading, self._writing, self._receive = reading, writing, receive
        self._frames, self._ids = Frames(reading), count()
        self._waiting: dict[int, Waiting] = {}
        """By number, so that the next deadline is that of the first one."""
        self._timer: asyncio.TimerHandle | None = None
        self.ended: Callable[[], None] = lambda: None
        """Called when the process that computes has ended."""

    @property
    def jobs(self) -> int:
        """The number of jobs that wait for an answer."""
        return len(self._waiting)

    async def open(self) -> None:
        """Begin to read and write."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reading, self._read)
        file = os.fdopen(self._writing, "wb", 0)
        self._writer, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, file)

    def close(self) -> None:
        """Close the pipes, which ends the process that computes."""
        self._writer.close()
        if self._loop.remove_reader(self._reading):
            os.close(self._reading)

    def send(self, message: object) -> None:
        """Send a message, at once if it fits into the pipe."""
        self._writer.write(frame(message))

    def ask(
        self, model: str, images: Sequence[tuple[str, bytes]], top: int | None, release: Callable[[], None]
    ) -> asyncio.Future[Answer]:
        """Send a job; return the future of its answer, which raises `Refusal` (503) if there is none in time.

        `release` is called when its images are no longer in memory. Raise `Refusal` (503) if too many jobs wait.
        """
        if self.jobs >= self.limits.requests:
            release()
            raise too_busy("too many requests are waiting")
        id, future, deadline = next(self._ids), self._loop.create_future(), time.monotonic() + self.limits.seconds
        self._waiting[id] = Waiting(future, deadline, release)
        self.send((id, model, images, top, deadline))  # a `Job`; a plain tuple is pickled in half the time
        if self._timer is None:
            self._timer = self._loop.call_later(self.limits.seconds, self._refuse_late)
        return future

    def _read(self) -> None:
        try:
            messages = self._frames.read()
        except EOFError:
            self.close()
            for waiting in self._waiting.values():
                _refuse(waiting.future)
            self.ended()
            return
        for message in messages:
            if isinstance(message, Answers):
                for answer in message.answers:
                    self._complete(answer)
            self._receive(message)

    def _complete(self, answer: Answer) -> None:
        waiting = self._waiting.pop(answer.id)
        waiting.release()
        if not waiting.future.done():
            waiting.future.set_result(answer)

    def _refuse_late(self) -> None:
        """Refuse the jobs whose time is over, and come back for the next one."""
        now, self._timer = time.monotonic(), None
        for waiting in self._waiting.values():
            if waiting.deadline > now:
                self._timer = self._loop.call_later(waiting.deadline - now, self._refuse_late)
                break
            _refuse(waiting.future)


def _refuse(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(too_busy("there was no time to compute an answer"))
