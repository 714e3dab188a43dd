"""The progress of a training: a bar on terminals, a line per epoch elsewhere. Both follow the same events."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from opsin.apps.cli.output import print_labelled, print_warning
from opsin.base.formatting import percent
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.tasks.score import ACCURACY
from opsin.training import (
    Epoch,
    Event,
    Rewound,
    Shortened,
    StageStarted,
    Started,
    Step,
    StoppedEarly,
    SubsetStarted,
    Warning,
)

REDRAW_INTERVAL = 0.1
"""Seconds between two updates of the bar."""

MAX_LINES = 12
"""The most epochs of a stage that leave a line above the bar."""

SMOOTHING_STEPS = 50
"""Steps over which the shown loss and accuracy are averaged."""


class Lines:
    """A line per epoch, for files and pipes. `many` is what the samples are called."""

    current: StageStarted

    def __init__(self, many: str = NOUNS[IMAGE][1]) -> None:
        self.many = many
        self.begin = 0.0
        self.steps = 0
        self.loss = 0.0
        self.accuracy = 0.0

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Started):
            self.start = event
        elif isinstance(event, SubsetStarted):
            self.print(f"learning curve: training on {event.images:,} of the {event.available:,} images")
        elif isinstance(event, StageStarted):
            self.stage(event)
        elif isinstance(event, Step):
            self._count(event)
        elif isinstance(event, Epoch):
            self.epoch(event)
            if event.epoch == self.current.views:  # later epochs are faster, so the timing starts again
                self.current = replace(self.current, epoch=event.epoch, views=0)
                self._restart()
        elif isinstance(event, Warning):
            print_warning(event.text)
        elif isinstance(event, Rewound):
            print_labelled("Rolled back: ", "yellow", _rollback(event))
        elif isinstance(event, Shortened):
            self.print(f"there is time for {event.epochs} of {event.planned} epochs")
        elif isinstance(event, StoppedEarly):
            self.print(f"stopped early: no improvement in the {event.patience} epochs after epoch {event.best}")

    def stage(self, stage: StageStarted) -> None:
        """Show that a stage begins."""
        self.current = stage
        self._restart()
        if self.start.stages > 1:
            self.print(f"{stage.stage}: training {stage.parameters:,} parameters, compiled in {stage.compiling:.1f} s")

    def _restart(self) -> None:
        self.begin = perf_counter()
        self.steps = 0

    def epoch(self, epoch: Epoch) -> None:
        """Show the result of an epoch."""
        self.print(f"{self._line(epoch)}   {self._time_left()} left")

    def print(self, text: str) -> None:
        """Print a line."""
        typer.echo(text)

    def _count(self, step: Step) -> None:
        self.steps += 1
        weight = max(1 / SMOOTHING_STEPS, 1 / self.steps)
        self.loss += weight * (step.loss - self.loss)
        if step.correct is not None:
            self.accuracy += weight * (step.correct / step.images - self.accuracy)

    def _title(self, epoch: int) -> str:
        name = "epoch" if self.start.stages == 1 else self.current.stage
        return f"{name} {epoch:{len(str(self.current.epochs))}}/{self.current.epochs}"

    def _line(self, epoch: Epoch) -> str:
        score, measures = epoch.held_out, f"loss {epoch.loss:.4f}"
        if ACCURACY in score.metrics:
            for name, share in (("accuracy", epoch.accuracy), ("validation", score.accuracy)):
                measures += "" if share is None else f"   {name} {percent(share, digits=2):>6}"
        else:
            measures += f"   validation {', '.join(map(score.text, list(score.metrics)[:2]))}"
        return f"{self._title(epoch.epoch)}   {measures}   {self._speed()}"

    def _speed(self) -> str:
        """Return the speed over the whole stage, evaluations included."""
        return f"{self.steps * self.current.batch / max(perf_counter() - self.begin, 1e-9):,.0f} {self.many}/s"

    def _time_left(self) -> str:
        """Return an estimate for the rest of the stage; epochs that reuse features count for nothing."""
        last = self.current.views if self.current.epoch < self.current.views else self.current.epochs
        ratio = (last - self.current.epoch) * self.current.steps / max(self.steps, 1) - 1
        return clock(max(0.0, (perf_counter() - self.begin) * ratio))


class Bar(Lines):
    """A bar that is redrawn a few times per second. Some of the epochs leave a line above it."""

    def __init__(self, many: str = NOUNS[IMAGE][1]) -> None:
        super().__init__(many)
        self.last_update = 0.0
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
        if isinstance(event, Step) and perf_counter() - self.last_update > REDRAW_INTERVAL:
            self.last_update = perf_counter()
            averages = f"loss {self.loss:.4f}"
            if event.correct is not None:
                averages += f" · accuracy {percent(self.accuracy)}"
            self.progress.update(
                self.task,
                completed=self.current.epoch * self.current.steps + self.steps,
                description=self._title(event.epoch),
                numbers=f"{averages} · {self._speed()} · {self._time_left()} left",
                refresh=True,
            )

    def stage(self, stage: StageStarted) -> None:
        super().stage(stage)
        self.progress.update(self.task, total=stage.epochs * stage.steps, completed=stage.epoch * stage.steps)
        self.progress.start()

    def epoch(self, epoch: Epoch) -> None:
        last = self.current.epochs
        if epoch.epoch % -(-last // MAX_LINES) == 0 or epoch.epoch == last:
            self.print(self._line(epoch))

    def print(self, text: str) -> None:
        self.progress.console.print(text)


def clock(seconds: float) -> str:
    """Return a duration as `0:07`, `12:30` or `3:05:00`."""
    minutes, remainder = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{remainder:02}" if hours else f"{minutes}:{remainder:02}"


def _rollback(event: Rewound) -> str:
    return (
        f"step {event.step:,}: {event.reason}; training continues from step {event.to:,} "
        f"with the learning rate times {event.factor:g}"
    )
