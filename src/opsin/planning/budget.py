"""The time and memory limits of a plan, and the overhead of training besides its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from opsin.compiler.memory_report import PROCESS_BYTES
from opsin.data import Dataset
from opsin.data.batches import batch_size
from opsin.model.record import held_out, measured_images
from opsin.planning.measurement import ConvTuning, Cost
from opsin.planning.options import TrainOptions
from opsin.training.divergence_guard import CHECK_INTERVAL

REPORT_SHARE = 0.15
MIN_REPORT_SECONDS, MAX_REPORT_SECONDS = 4.0, 75.0
"""The report's share of the total time, and its bounds."""

FIXED_REPORT_SECONDS = 2.0
"""The time of a report without the evaluation of the model."""

MARGIN = 0.04
"""The share of the total time that stays in reserve."""

CONV_TUNING_SHARE = 0.01
MAX_CONV_TUNING_SECONDS = 10.0
MIN_SECONDS_TO_TUNE_CONVS = 60.0
"""The share of the total time for timing convolution algorithms, its bound, and the total time from which it pays."""

ACTIVATION_COPIES = 12
"""An allowance for evaluation: a small network's activations take this many times the memory of its input."""


@dataclass(frozen=True)
class Budget:
    """The limits of a command, in seconds and bytes.

    Of `total_seconds`, `elapsed_seconds` are over, `report_seconds` are for the report, and `training_seconds` remain
    for training. `memory` is None without a limit. `is_explicit` tells whether the time was given or is the default.
    `trainings` as long as that of the model have to fit into the time.
    """

    training_seconds: float
    report_seconds: float
    total_seconds: float
    elapsed_seconds: float
    is_explicit: bool
    memory: float | None = None
    trainings: int = 1

    def shared(self, trainings: int) -> Budget:
        """Return the budget of one of several trainings that take equally long."""
        return replace(self, training_seconds=self.training_seconds / trainings, trainings=trainings)

    @classmethod
    def of(cls, options: TrainOptions, elapsed_seconds: float) -> Budget:
        """Return what remains of the options' budget after `elapsed_seconds`."""
        total = options.seconds
        report = min(MAX_REPORT_SECONDS, max(MIN_REPORT_SECONDS, REPORT_SHARE * total))
        training = total * (1 - MARGIN) - report - elapsed_seconds
        return cls(training, report, total, elapsed_seconds, options.budget is not None, options.memory)

    def total_for(self, training_seconds: float) -> float:
        """Return the total seconds of a budget that leaves `training_seconds` for training."""
        before_report = self.trainings * training_seconds + self.elapsed_seconds
        share = before_report / (1 - MARGIN - REPORT_SHARE)
        longest = (before_report + MAX_REPORT_SECONDS) / (1 - MARGIN)
        return max(min(share, longest), (before_report + MIN_REPORT_SECONDS) / (1 - MARGIN))

    def allows(self, memory: float) -> bool:
        """Return whether this many bytes are within the limit."""
        return self.memory is None or memory <= self.memory


def conv_tuning_of(options: TrainOptions, enabled: bool) -> ConvTuning:
    """Return the tuning for `options`, with time for new measurements if the budget is long enough.

    There is none under a memory limit, because timing convolutions takes additional memory.
    """
    total = options.seconds
    affordable = enabled and total >= MIN_SECONDS_TO_TUNE_CONVS and options.memory is None
    seconds = min(MAX_CONV_TUNING_SECONDS, CONV_TUNING_SHARE * total) if affordable else 0.0
    return ConvTuning(options.winograd, enabled, seconds)


@dataclass(frozen=True)
class BatchCost:
    """A batch size, what its step costs, and the peak memory of the process that trains with it, in bytes."""

    batch: int
    step: Cost
    peak_bytes: float


def first_batch_within(
    budget: Budget, batches: Sequence[int], cost: Callable[[int], Cost], fixed_bytes: float
) -> BatchCost:
    """Return the first of `batches` whose step fits the memory, or the last one if none does.

    `fixed_bytes` are needed with any batch.
    """
    for batch in batches:
        step = cost(batch)
        result = BatchCost(batch, step, fixed_bytes + step.bytes)
        if budget.allows(result.peak_bytes):
            break
    return result


def bytes_besides_step(used_bytes: int, data: Dataset) -> float:
    """Return the memory that a process takes besides a training step, if it takes `used_bytes` so far.

    The compiler and the report may take as much again as a process without them.
    """
    return used_bytes + _evaluation_bytes(data) + PROCESS_BYTES


def _evaluation_bytes(data: Dataset) -> float:
    """Return the memory that evaluating a model takes besides its parameters: a batch of images and its activations."""
    channels, height, width = data.shape
    return 4.0 * batch_size(data.shape) * channels * height * width * ACTIVATION_COPIES


def epoch_seconds(images: int, batch: int, step: Cost) -> float:
    """Return the time of an epoch's steps, of which the last is padded to a whole batch, and of its snapshots."""
    steps = ceil(images / batch)
    return steps * batch * step.image_seconds + ceil(steps / CHECK_INTERVAL) * step.snapshot_seconds


def report_overrun_seconds(data: Dataset, forward_seconds: float, budget: Budget) -> float:
    """Return what the report takes beyond its share: it evaluates the model, `forward_seconds` per image."""
    return max(0.0, len(measured_images(data)) * forward_seconds + FIXED_REPORT_SECONDS - budget.report_seconds)


def evaluation_seconds(data: Dataset, forward_seconds: float) -> float:
    """Return the time to evaluate a model on the held-out images, `forward_seconds` per image."""
    return len(held_out(data)) * forward_seconds
