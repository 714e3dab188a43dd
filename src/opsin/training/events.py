"""The events of a training run, as data to show, log or store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from opsin.tasks.score import Score


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Started(Event):
    """The run begins, or continues after `done` steps of earlier processes. `epochs` are those of all `stages`.

    After each epoch the model is measured on `held_out` images: the validation split, or the test split if there is no
    validation split, or the training split if there is neither. `test` images are kept for the end; 0 if there is no
    test split.
    """

    network: str
    parameters: int
    images: int
    held_out: int
    test: int
    classes: int
    epochs: int
    stages: int
    done: int


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage was compiled in `compiling` seconds and begins after `epoch` of its epochs of `steps` steps each.

    `number` counts from 1; `parameters` are those that are trained. Features are computed in the first `views` epochs,
    if any; later epochs are much shorter.
    """

    stage: str
    number: int
    epochs: int
    steps: int
    batch: int
    parameters: int
    epoch: int
    compiling: float
    views: int


@dataclass(frozen=True)
class Step(Event):
    """A step on a batch of `images`; `step` counts from 1 over all stages.

    A classifier gave the right class for `correct` of the images before the step; None for other tasks.
    """

    epoch: int
    step: int
    loss: float
    correct: int | None
    images: int


@dataclass(frozen=True)
class Epoch(Event):
    """The end of an epoch: the mean loss of its steps, and the score on the held-out images.

    `accuracy` is that of a classifier in these steps, 0 to 1; None for other tasks.
    `epoch` counts from 1 in its stage, `steps` over all stages. `better` means that no earlier epoch had such a good
    score. `seconds` includes the measurement.
    """

    stage: str
    epoch: int
    steps: int
    loss: float
    accuracy: float | None
    held_out: Score
    better: bool
    seconds: float


@dataclass(frozen=True)
class Warning(Event):
    """A problem that does not end the run, and what to do about it."""

    text: str


@dataclass(frozen=True)
class Rewound(Event):
    """In `step` values became NaN or infinite, or the loss rose too far: training continues from step `to`.

    All learning rates are multiplied by `factor` from there on.
    """

    stage: str
    epoch: int
    step: int
    to: int
    reason: str
    factor: float


@dataclass(frozen=True)
class Shortened(Event):
    """After `epoch` epochs of a stage, the time suffices for `epochs` of the `planned` epochs."""

    stage: str
    epoch: int
    epochs: int
    planned: int


@dataclass(frozen=True)
class StoppedEarly(Event):
    """A stage ended before its last epoch: the best epoch was `best`, and `patience` epochs have not improved on it."""

    stage: str
    epoch: int
    best: int
    patience: int


@dataclass(frozen=True)
class Interrupted(Event):
    """The last event of an interrupted run: the model is that after `step` steps (0: before the first)."""

    epoch: int
    step: int


@dataclass(frozen=True)
class SubsetStarted(Event):
    """A learning curve needs a training on `images` of all `available` images: its events follow."""

    images: int
    available: int


@dataclass(frozen=True)
class Finished(Event):
    """The last event of a complete run. `seconds` is the time trained, in earlier processes, too.

    `test` is the score on the test split; None if the data has none. If there is no validation split, it is that after
    the model's epoch.
    """

    seconds: float
    images: int
    test: Score | None


LOG_NAMES: dict[type[Event], str] = {
    Started: "started",
    StageStarted: "stagestarted",
    Epoch: "epoch",
    Warning: "warning",
    Rewound: "rewound",
    Shortened: "shortened",
    StoppedEarly: "stoppedearly",
    SubsetStarted: "subsetstarted",
    Interrupted: "interrupted",
    Finished: "finished",
}
"""The names of events in a run's log. They are part of its format and stay when a class is renamed. Single steps are
not logged; the trainer logs the mean of several instead."""

DIVERGED = "diverged"
"""The record of a run that ends with the error `Diverged`."""

STEPS = "steps"
"""The record of the mean loss of the steps since the one before, or since the epoch began."""


def log_record(event: Event) -> dict[str, Any] | None:
    """Return what a run's log says of an event; None if it is not logged."""
    name = LOG_NAMES.get(type(event))
    return {"event": name, **event_data(event)} if name else None


def event_data(event: Event) -> dict[str, Any]:
    """Return the fields of an event as JSON has them."""
    scores = {key: value.to_data() for key, value in vars(event).items() if isinstance(value, Score)}
    return asdict(event) | scores
