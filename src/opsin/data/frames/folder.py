"""Read images from a folder while another program writes to it: a camera, or a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Generic, TypeVar

from opsin.data.frames.backlog import Backlog
from opsin.data.frames.folder_watch import FolderWatch, natural_order
from opsin.data.frames.frame import Frame
from opsin.data.items import MISSING, ItemError

T = TypeVar("T")

LISTING_INTERVAL = 0.02
"""Seconds between two listings of the folder, unless a listing takes long."""

LISTING_SHARE = 4
"""The pause between two listings is at least this multiple of the time that one takes."""


class FolderFrames(Generic[T]):
    """The images of a folder, as they are written, each once it is complete.

    `read` reads a file; the second argument is its name in messages. Images that are there from the beginning are all
    read, in the order of their names; of later ones, the oldest are dropped if they arrive faster than they are taken.
    The sequence ends once `stop` is set, or after `idle` seconds without a new or growing file; None: never. Files in
    the folder `exclude` are ignored.
    """

    def __init__(
        self,
        folder: Path,
        read: Callable[[Path, str], T],
        stop: Event,
        *,
        idle: float | None = None,
        exclude: Path | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._folder, self._read, self._stop, self._idle, self._clock = folder, read, stop, idle, clock
        self._watch = FolderWatch(folder, exclude, clock)
        self._backlog: Backlog[str | ItemError] = Backlog(stop, clock=clock)

    def __iter__(self) -> Iterator[Frame[T]]:
        """Yield the frames. A thread lists the folder in the meantime."""
        thread = Thread(target=self._follow, name="opsin-folder", daemon=True)
        thread.start()
        dropped = 0
        while taken := self._backlog.take():
            dropped += taken.dropped
            content = self._content(taken.item)
            if isinstance(content, ItemError) and content.problem.kind == MISSING:  # deleted before it was read
                dropped += 1
            elif content is not None:
                yield Frame(self._name(taken.item), content, taken.arrival, dropped)
                dropped = 0
        thread.join()
        if not self._stop.is_set():
            yield from (Frame(error.problem.name, error, self._clock()) for error in self._watch.unreadable())

    def _name(self, item: str | ItemError) -> str:
        return item.problem.name if isinstance(item, ItemError) else str(self._folder / item)

    def _content(self, item: str | ItemError) -> T | ItemError | None:
        """Return what is read from a file, or the error if it is missing or given up; None to wait for the rest."""
        if isinstance(item, ItemError):
            return item
        try:
            return self._read(self._folder / item, self._name(item))
        except ItemError as error:
            if error.problem.kind == MISSING:
                return error
            self._watch.postpone(item, error)
            return None

    def _follow(self) -> None:
        try:
            self._list_until_idle()
        except Exception as error:
            self._backlog.close(error)
        finally:
            self._backlog.close()

    def _list_until_idle(self) -> None:
        initial: set[str] | None = None
        while not self._stop.is_set():
            begin = self._clock()
            complete, errors = self._watch.scan()
            initial = set(self._watch.names) if initial is None else initial
            for name in sorted(initial.intersection(complete), key=natural_order):
                self._backlog.put(name, in_time=False)
            for name in complete:
                if name not in initial:
                    self._backlog.put(name)
            for error in errors:
                self._backlog.put(error)
            if self._is_idle():
                break
            self._stop.wait(max(LISTING_INTERVAL, LISTING_SHARE * (self._clock() - begin)))

    def _is_idle(self) -> bool:
        if self._idle is None or self._watch.is_waiting:
            return False
        return self._clock() - self._watch.last_change >= self._idle
