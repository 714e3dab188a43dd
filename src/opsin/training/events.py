"""What happens during training, for whoever wants to show, log or store it."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.model import Evaluation


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Started(Event):
    """The network is compiled. `steps` are those of an epoch; `compiling` is in seconds."""

    network: str
    parameters: int
    pictures: int
    held_out: int
    classes: int
    epochs: int
    steps: int
    batch: int
    compiling: float


@dataclass(frozen=True)
class Step(Event):
    """One batch was learnt from; `step` counts from 1 through all epochs, `correct` of `pictures` were right before."""

    epoch: int
    step: int
    loss: float
    correct: int
    pictures: int


@dataclass(frozen=True)
class Epoch(Event):
    """Every picture came once: mean loss and accuracy (0 to 1) during the epoch, and how the held-out pictures did."""

    epoch: int
    loss: float
    accuracy: float
    held_out: Evaluation
    seconds: float


@dataclass(frozen=True)
class Warning(Event):
    """Something that the person should know, and what to do."""

    text: str


@dataclass(frozen=True)
class Interrupted(Event):
    """The last event where the person asked to stop: the model is as it was after this step (0: before the first)."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Finished(Event):
    """The last event of a complete run. `seconds` is the time since the first step."""

    seconds: float
    pictures: int
