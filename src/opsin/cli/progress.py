"""Training as it goes: a bar on a terminal, a line an epoch elsewhere. Both read the same events."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from opsin.training import Epoch, Event, Started, Step, Warning

REDRAW = 0.1
"""Seconds between two looks of the bar."""

LINES = 12
"""At most so many epochs leave a line above the bar."""


class Lines:
    """A line an epoch, for files and pipes."""

    def __init__(self) -> None:
        self.begin, self.done, self.loss, self.accuracy = 0.0, 0, 0.0, 0.0

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Shows what there is to show of an event."""
        if isinstance(event, Started):
            self.start, self.begin = event, perf_counter()
        elif isinstance(event, Step):
            self._count(event)
        elif isinstance(event, Epoch):
            self.epoch(event)
        elif isinstance(event, Warning):
            typer.secho("Warning: ", fg="yellow", bold=True, err=True, nl=False)
            typer.echo(event.text, err=True)

    def epoch(self, epoch: Epoch) -> None:
        typer.echo(f"{self._line(epoch)}   {self._left()} left")

    def _count(self, step: Step) -> None:
        """Loss and accuracy are means over about the last 50 steps."""
        weight = max(1 / 50, 1 / step.step)
        self.loss += weight * (step.loss - self.loss)
        self.accuracy += weight * (step.correct / step.pictures - self.accuracy)
        self.done = step.step

    def _line(self, epoch: Epoch) -> str:
        number = f"{epoch.epoch:{len(str(self.start.epochs))}}/{self.start.epochs}"
        measures = f"loss {epoch.loss:.4f}   accuracy {epoch.accuracy:6.2%}   held out {epoch.held_out.accuracy:6.2%}"
        return f"epoch {number}   {measures}   {self._speed()}"

    def _speed(self) -> str:
        """Over the whole run, the evaluations included."""
        return f"{self.done * self.start.batch / max(perf_counter() - self.begin, 1e-9):,.0f} pictures/s"

    def _left(self) -> str:
        """The time that the rest will take, going by the past."""
        rest = self.start.epochs * self.start.steps / max(self.done, 1) - 1
        return clock((perf_counter() - self.begin) * rest)


class Bar(Lines):
    """A bar that is redrawn a few times a second; some of the epochs leave a line above it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0.0
        columns = TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[numbers]}")
        self.progress = Progress(
            *columns, console=Console(highlight=False), auto_refresh=False, transient=True, expand=True
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, Started):
            self.task = self.progress.add_task("", total=event.epochs * event.steps, numbers="")
            self.progress.start()
        elif isinstance(event, Step) and perf_counter() - self.drawn > REDRAW:
            self.drawn = perf_counter()
            self.progress.update(
                self.task,
                completed=event.step,
                description=f"epoch {event.epoch}/{self.start.epochs}",
                numbers=f"loss {self.loss:.4f} · accuracy {self.accuracy:.1%} · {self._speed()} · {self._left()} left",
                refresh=True,
            )

    def epoch(self, epoch: Epoch) -> None:
        last = self.start.epochs
        if epoch.epoch % -(-last // LINES) == 0 or epoch.epoch == last:
            self.progress.console.print(self._line(epoch))


def clock(seconds: float) -> str:
    """`0:07`, `12:30`, `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
