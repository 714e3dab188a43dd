"""The time for predictions in 8-bit integers: quantization-aware training, and the record at the end of a training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from opsin import nn
from opsin.base.concurrency import lazy
from opsin.base.formatting import duration
from opsin.ir import Graph
from opsin.model.pretrained import prepared_network
from opsin.model.record import held_out
from opsin.planning.budget import Budget, bytes_besides_step, epoch_seconds, evaluation_seconds
from opsin.planning.candidate import Candidate, Planner
from opsin.planning.measurement import Cost
from opsin.quantization.adaptive_rounding import rounded_weights
from opsin.quantization.fake_quantization import simulated
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.quantization import qat_stage, recorded_images
from opsin.training.stages import loss_of, optimizer_of

RECORD_SECONDS = 0.5
"""The time of a record besides its images: two programs are compiled."""
MAX_RECORD_SHARE, MAX_ROUNDING_SHARE = 0.1, 0.2
"""The largest shares of the training time that are reserved for the images of the record, and for rounding."""
RECORD_PASSES = 2
"""Images are run twice: for ranges and histograms, and in two precisions."""
ROUNDING_SECONDS = 3e-6
"""The time to choose the rounding of a weight."""


class Int8Planner:
    """Adds to the candidates of another planner what int8 takes: the record, and with `qat` a stage of training."""

    def __init__(self, planner: Planner, budget: Budget) -> None:
        self.planner, self.budget, self.data, self.meter = planner, budget, planner.data, planner.meter

    def candidates(self) -> Iterator[Candidate]:
        """Yield the candidates, each with the time for int8; the last one also without that of the record.

        No training is refused for the sake of the record.
        """
        for candidate in self.planner.candidates():
            candidate = self._with_qat(candidate) if self.planner.options.qat else candidate
            yield _longer(candidate, self.record_seconds(candidate))
        yield candidate

    def plan(self, candidate: Candidate) -> TrainingPlan:
        return self.planner.plan(candidate)

    def record_seconds(self, candidate: Candidate) -> float:
        """Return the time that is reserved for the record after a candidate's training; int8 is for images."""
        if self.data.input is not None:
            return 0.0
        train, measured = len(self.data.train), len(held_out(self.data))
        trained = sum(stage.epochs * (stage.images or train) for stage in candidate.stages)
        images = sum(recorded_images(self._network, trained, train, measured))
        record = RECORD_SECONDS + RECORD_PASSES * images * self.planner.forward_seconds
        rounding = 0.0 if self.planner.options.qat else ROUNDING_SECONDS * rounded_weights(self._network)
        available = max(0.0, self.budget.training_seconds)
        return min(record, MAX_RECORD_SHARE * available) + min(rounding, MAX_ROUNDING_SHARE * available)

    def _with_qat(self, candidate: Candidate) -> Candidate:
        """Return the candidate with a stage of quantization-aware training at the end."""
        if not candidate.stages:
            return candidate
        stage = qat_stage(candidate.stages[-1])
        step = self._step_cost(candidate, stage)
        images = stage.images or len(self.data.train)
        evaluation = evaluation_seconds(self.data, self.planner.forward_seconds)
        seconds = stage.epochs * (epoch_seconds(images, stage.batch, step) + evaluation)
        epochs, take = ("one epoch", "takes") if stage.epochs == 1 else (f"{stage.epochs} epochs", "take")
        return replace(
            _longer(candidate, seconds + step.compile_seconds),
            stages=(*candidate.stages, stage),
            bytes=max(candidate.bytes, bytes_besides_step(self.meter.machine.process_bytes(), self.data) + step.bytes),
            reasons=(
                *candidate.reasons,
                f"{epochs} of quantization-aware training at the end {take} {duration(seconds)}",
            ),
            name=f"{candidate.name} and {epochs} of quantization-aware training",
        )

    def _step_cost(self, candidate: Candidate, stage: Stage) -> Cost:
        """Return the cost of a step of `stage`, measured once for each batch and choice of layers."""
        key = stage.batch, stage.frozen
        if key not in self._costs:
            plan = self.planner.plan(candidate)
            task = self.data.task.for_network(plan.network, self.data.shape[1:])
            graph = simulated(self._network, nn.initial_state(self._network, plan.seed), stage.frozen)
            step = nn.training_step(graph, optimizer_of(plan, self._layer), loss_of(plan, task, mixed=False))
            self._costs[key] = self.meter.in_float32().measure(step, stage.batch)
        return self._costs[key]

    @lazy
    def _costs(self) -> dict[tuple[int, tuple[str, ...]], Cost]:
        return {}

    @lazy
    def _layer(self) -> nn.Layer:
        return prepared_network(self.planner.choice.network, self.data.task, self.data.input)

    @lazy
    def _network(self) -> Graph:
        return nn.trace(self._layer, self.data.shape)


def _longer(candidate: Candidate, seconds: float) -> Candidate:
    """Return the candidate with more time; one without a limit still has none."""
    required = candidate.required_seconds and candidate.required_seconds + seconds
    return replace(
        candidate, seconds=candidate.seconds + seconds, required_seconds=required,
        recommended_seconds=candidate.recommended_seconds + seconds,
    )  # fmt: skip
