"""Augment and prepare batches of other kinds of input than images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data.augment.apply import Arrays
from opsin.inputs import Augmentation, InputKind
from opsin.tasks.geometry import Geometry
from opsin.tasks.task import Targets, Task


class SampleAugmenter:
    """Applies random changes to samples, and makes of them what programs take. The answers stay the same."""

    def __init__(self, policy: Augmentation, input: InputKind, task: Task, seed: int) -> None:
        self.policy, self.input, self.task, self.seed = policy, input, task, seed

    def __call__(
        self,
        samples: NDArray[Any],
        targets: Targets,
        batch: int,
        epoch: int,
        first: int,
        flipped: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Return float32 N×C×H×W and target arrays for N samples at the positions from `first` of an epoch."""
        changed = self.policy(samples, self.seed, epoch, first)
        unmoved = Geometry.resize(len(samples), self.input.size, self.input.size)
        return self.input.apply(changed), self.task.encode(targets, unmoved, None)
