"""What a run remembers besides the values of its program: where it is, what it has seen, what was best.

Together with the program's values it is the whole state of a run: from a `Snapshot`, training goes on to the same
bits. All numbers survive JSON exactly, as Python writes floats with all their digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from numpy.typing import NDArray

from opsin.base.errors import TrainingError
from opsin.training.deadline import Cut
from opsin.training.events import Epoch, Score

State = Mapping[str, NDArray[Any]]


@dataclass
class TrainerState:
    """`epoch` epochs of stage number `stage` are done, then `step` steps; in all, `steps` steps with
    `images` images.

    `losses` and `correct` are sums over the steps of this epoch; `lowest` is the lowest mean loss between two looks at
    the parameters; `factor` is what the learning rates are multiplied by since a rewind; `seconds` is the time
    trained. `stopped` says that the stage is over before its last epoch, `cuts` that it has fewer epochs than planned.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    steps: int = 0
    images: int = 0
    losses: float = 0.0
    correct: int = 0
    lowest: float = float("inf")
    factor: float = 1.0
    rewinds: int = 0
    stopped: bool = False
    cuts: tuple[Cut, ...] = ()
    seconds: float = 0.0
    history: tuple[Epoch, ...] = ()

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TrainerState:
        """What `to_data` wrote, through JSON; `TrainingError` for anything else."""
        try:
            history = tuple(Epoch(**{**epoch, "held_out": Score(**epoch["held_out"])}) for epoch in data["history"])
            cuts = tuple((int(done), int(epochs)) for done, epochs in data["cuts"])
            return cls(**{**data, "history": history, "cuts": cuts})
        except (KeyError, TypeError):
            raise TrainingError("the run's memory is not described completely") from None

    def copy(self) -> TrainerState:
        """As it is now."""
        return replace(self)


@dataclass(frozen=True, eq=False)
class ModelState:
    """A state of the network (names and shapes of its inference graph) worth keeping, after `steps` steps."""

    steps: int
    state: State


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run after a step: its memory, the program's `state`, and of the network what the program does not hold.

    `good` is the state with the lowest mean loss, `best` that with the best result on the held-out images.
    """

    memory: TrainerState
    state: State
    outside: State
    good: ModelState | None = None
    best: ModelState | None = None
