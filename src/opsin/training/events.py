"""What happens during training, for whoever wants to show, log or store it."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.model import Evaluation


@dataclass(frozen=True)
class Score:
    """How a model did: `correct` of `images` right, with this mean loss (nats).

    `balanced` is the mean over the classes of the share that is right, 0 to 1; None in what an older Opsin wrote.
    """

    images: int
    correct: int
    loss: float
    balanced: float | None = None

    @classmethod
    def of(cls, evaluation: Evaluation) -> Score:
        return cls(evaluation.images, evaluation.correct, evaluation.loss, evaluation.balanced_accuracy)

    @property
    def accuracy(self) -> float:
        """0 to 1."""
        return self.correct / self.images


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Started(Event):
    """The run begins, or goes on after `done` steps of earlier sittings. `epochs` are those of all `stages`.

    `held_out` images say how well it does after each epoch: the validation part, or the test part where there is
    no other; `test` images are kept for the end.
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
    """A stage is compiled, in `compiling` seconds, and begins after `epoch` of its epochs of `steps` steps each.

    `number` counts from 1; `parameters` are those that learn. Features are computed in the first
    `views` epochs, if any; later ones are much shorter.
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
    """One batch was learnt from; `step` counts from 1 through all stages, `correct` of `images` were right before."""

    epoch: int
    step: int
    loss: float
    correct: int
    images: int


@dataclass(frozen=True)
class Epoch(Event):
    """Every image came once: mean loss and accuracy (0 to 1) during the epoch, and how the held-out images did.

    `epoch` counts from 1 in its stage, `steps` through all stages. `better`: no epoch before did as well on the
    held-out images.
    """

    stage: str
    epoch: int
    steps: int
    loss: float
    accuracy: float
    held_out: Score
    better: bool
    seconds: float


@dataclass(frozen=True)
class Warning(Event):
    """Something that the person should know, and what to do."""

    text: str


@dataclass(frozen=True)
class Rewound(Event):
    """Numbers left the finite, or the loss rose beyond reason, in `step`: training goes on from step `to`, with the
    learning rate times `factor` from there on.
    """

    stage: str
    epoch: int
    step: int
    to: int
    reason: str
    factor: float


@dataclass(frozen=True)
class Shortened(Event):
    """After `epoch` epochs of a stage, the time is enough for `epochs` of the `planned`."""

    stage: str
    epoch: int
    epochs: int
    planned: int


@dataclass(frozen=True)
class StoppedEarly(Event):
    """A stage ended before its last epoch, since validation had not improved for `patience` epochs."""

    stage: str
    epoch: int
    best: int
    patience: int


@dataclass(frozen=True)
class Interrupted(Event):
    """The last event where the person asked to stop: the model is as it was after this step (0: before the first)."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Finished(Event):
    """The last event of a complete run. `seconds` is the time since the first step, earlier sittings included.

    `test` is how the model did on the test part; the last epoch's result where there is no validation part.
    """

    seconds: float
    images: int
    test: Score
