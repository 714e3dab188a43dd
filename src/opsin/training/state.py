"""The state of a run: where it is, what it has seen, and what was best.

A `Snapshot` holds this and the program's values: everything that training needs to continue to bit-identical results.
All numbers survive JSON exactly, since Python writes floats with all their digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from numpy.typing import NDArray

from opsin.base.errors import TrainingError
from opsin.base.legacy import TRAINER_STATE, renamed, upgraded
from opsin.tasks.score import Score
from opsin.training.events import Epoch, event_data
from opsin.training.truncation import Truncation

State = Mapping[str, NDArray[Any]]
"""Arrays by the names of a graph's variables."""


@dataclass(frozen=True)
class TrainerState:
    """`epoch` epochs and then `step` steps of stage number `stage` (from 0) are done; `steps` steps with `images`
    images in total.

    `loss_sum` and `correct` are sums over the steps of this epoch; only classifiers count correct answers. `best_loss`
    is the lowest mean loss between two checks of the parameters. `lr_scale` multiplies all learning rates since a
    rollback. `stopped` says that the stage ended before its last epoch, `truncations` that it got fewer epochs.
    `seconds` is the time trained.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    steps: int = 0
    images: int = 0
    loss_sum: float = 0.0
    correct: int | None = 0
    best_loss: float = float("inf")
    lr_scale: float = 1.0
    rewinds: int = 0
    stopped: bool = False
    truncations: tuple[Truncation, ...] = ()
    seconds: float = 0.0
    history: tuple[Epoch, ...] = ()

    def after_step(self, loss: float, correct: int | None, images: int) -> TrainerState:
        """Return the state after a step on a batch of `images` images, `correct` of which were right if they count."""
        return replace(
            self,
            step=self.step + 1,
            steps=self.steps + 1,
            images=self.images + images,
            loss_sum=self.loss_sum + loss,
            correct=None if correct is None else (self.correct or 0) + correct,
        )

    def after_seconds(self, seconds: float) -> TrainerState:
        """Return the state after `seconds` more of training."""
        return replace(self, seconds=self.seconds + seconds)

    def after_epoch(self, stage: str, batch: int, score: Score, better: bool) -> TrainerState:
        """Return the state after an epoch of steps on `batch` images, with the epoch in its history."""
        seconds = self.seconds - sum(epoch.seconds for epoch in self.history)
        loss = self.loss_sum / self.step
        accuracy = None if self.correct is None else self.correct / (self.step * batch)
        epoch = Epoch(stage, self.epoch + 1, self.steps, loss, accuracy, score, better, seconds)
        return replace(self, epoch=self.epoch + 1, step=0, loss_sum=0.0, correct=0, history=(*self.history, epoch))

    def after_decisions(self, stopped: bool, epochs: int | None) -> TrainerState:
        """Return the state after an epoch that ends the stage, or after which the stage has only `epochs` epochs."""
        truncations = () if epochs is None else ((self.epoch, epochs),)
        return replace(self, stopped=stopped, truncations=(*self.truncations, *truncations))

    def after_stage(self) -> TrainerState:
        """Return the state at the beginning of the next stage."""
        return replace(self, stage=self.stage + 1, epoch=0, stopped=False, truncations=())

    def after_rollback(self, lr_factor: float, seconds: float) -> TrainerState:
        """Return this earlier state with lower learning rates; `seconds` of training have passed by now."""
        return replace(self, rewinds=1, lr_scale=self.lr_scale * lr_factor, seconds=seconds)

    def to_data(self) -> dict[str, Any]:
        """Return the state as JSON has it."""
        return asdict(self) | {"history": [event_data(epoch) for epoch in self.history]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TrainerState:
        """Return what `to_data` wrote, through JSON, also as Opsin 0.1.0 did. `TrainingError` for anything else."""
        data = upgraded(renamed(data), TRAINER_STATE)
        try:
            history = tuple(_epoch(epoch) for epoch in data["history"])
            truncations = tuple((int(done), int(epochs)) for done, epochs in data["truncations"])
            return cls(**{**data, "history": history, "truncations": truncations})
        except (KeyError, TypeError):
            raise TrainingError("the trainer's state is not described completely") from None


def _epoch(data: Mapping[str, Any]) -> Epoch:
    return Epoch(**{**data, "held_out": Score.from_data(data["held_out"])})


@dataclass(frozen=True, eq=False)
class ModelState:
    """The network's variables (names and shapes of its inference graph) after `steps` steps."""

    steps: int
    values: State


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run after a step: the trainer's state, the program's values, and the network's variables that the program does
    not hold.

    `last_finite` is the verified state of the network with the lowest mean loss, `best` that with the best result on
    the held-out images if the plan has a patience.
    """

    state: TrainerState
    values: State
    outside: State
    last_finite: ModelState | None = None
    best: ModelState | None = None
