"""Training as it goes: a bar on a terminal, a line an epoch elsewhere. Both read the same events."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from opsin.training import Epoch, Event, Rewound, Shortened, StageStarted, Started, Step, StoppedEarly, Warning

REDRAW = 0.1
"""Seconds between two looks of the bar."""

LINES = 12
"""At most so many epochs of a stage leave a line above the bar."""


class Lines:
    """A line an epoch, for files and pipes."""

    now: StageStarted

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
            self.start = event
        elif isinstance(event, StageStarted):
            self.stage(event)
        elif isinstance(event, Step):
            self._count(event)
        elif isinstance(event, Epoch):
            self.epoch(event)
            if event.epoch == self.now.views:  # from here on it goes faster, and is timed anew
                self.now = replace(self.now, epoch=event.epoch, views=0)
                self.begin, self.done = perf_counter(), 0
        elif isinstance(event, Warning):
            self._warn("Warning: ", event.text)
        elif isinstance(event, Rewound):
            self._warn("Rolled back: ", _rewound(event))
        elif isinstance(event, Shortened):
            self.say(f"the time is enough for {event.epochs} of {event.planned} epochs")
        elif isinstance(event, StoppedEarly):
            self.say(f"stopped: {event.patience} epochs after epoch {event.best} none was better")

    def stage(self, stage: StageStarted) -> None:
        self.now, self.begin, self.done = stage, perf_counter(), 0
        if self.start.stages > 1:
            self.say(f"{stage.stage}: {stage.parameters:,} parameters learn, compiled in {stage.compiling:.1f} s")

    def epoch(self, epoch: Epoch) -> None:
        self.say(f"{self._line(epoch)}   {self._left()} left")

    def say(self, text: str) -> None:
        typer.echo(text)

    def _warn(self, head: str, text: str) -> None:
        typer.secho(head, fg="yellow", bold=True, err=True, nl=False)
        typer.echo(text, err=True)

    def _count(self, step: Step) -> None:
        """Loss and accuracy are means over about the last 50 steps."""
        self.done += 1
        weight = max(1 / 50, 1 / self.done)
        self.loss += weight * (step.loss - self.loss)
        self.accuracy += weight * (step.correct / step.images - self.accuracy)

    def _title(self, epoch: int) -> str:
        name = "epoch" if self.start.stages == 1 else self.now.stage
        return f"{name} {epoch:{len(str(self.now.epochs))}}/{self.now.epochs}"

    def _line(self, epoch: Epoch) -> str:
        measures = f"loss {epoch.loss:.4f}   accuracy {epoch.accuracy:6.2%}   validation {epoch.held_out.accuracy:6.2%}"
        return f"{self._title(epoch.epoch)}   {measures}   {self._speed()}"

    def _speed(self) -> str:
        """Over the whole stage, the evaluations included."""
        return f"{self.done * self.now.batch / max(perf_counter() - self.begin, 1e-9):,.0f} images/s"

    def _left(self) -> str:
        """The time that the rest of the stage will take, going by the past; of what goes faster later, next to none."""
        last = self.now.views if self.now.epoch < self.now.views else self.now.epochs
        rest = (last - self.now.epoch) * self.now.steps / max(self.done, 1) - 1
        return clock(max(0.0, (perf_counter() - self.begin) * rest))


class Bar(Lines):
    """A bar that is redrawn a few times a second; some of the epochs leave a line above it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0.0
        columns = TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[numbers]}")
        self.progress = Progress(
            *columns, console=Console(highlight=False), auto_refresh=False, transient=True, expand=True
        )
        self.task = self.progress.add_task("", total=None, numbers="")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, Step) and perf_counter() - self.drawn > REDRAW:
            self.drawn = perf_counter()
            self.progress.update(
                self.task,
                completed=self.now.epoch * self.now.steps + self.done,
                description=self._title(event.epoch),
                numbers=f"loss {self.loss:.4f} · accuracy {self.accuracy:.1%} · {self._speed()} · {self._left()} left",
                refresh=True,
            )

    def stage(self, stage: StageStarted) -> None:
        super().stage(stage)
        self.progress.update(self.task, total=stage.epochs * stage.steps, completed=stage.epoch * stage.steps)
        self.progress.start()

    def epoch(self, epoch: Epoch) -> None:
        last = self.now.epochs
        if epoch.epoch % -(-last // LINES) == 0 or epoch.epoch == last:
            self.say(self._line(epoch))

    def say(self, text: str) -> None:
        self.progress.console.print(text)


def clock(seconds: float) -> str:
    """`0:07`, `12:30`, `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _rewound(event: Rewound) -> str:
    return (
        f"by step {event.step:,} {event.reason}; training continues from step {event.to:,} "
        f"with the learning rate times {event.factor:g}"
    )
