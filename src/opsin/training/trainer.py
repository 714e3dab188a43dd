"""The training loop: a plan's stages, epochs and steps, as a stream of events that ends with a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.data import Dataset
from opsin.inputs.nouns import renamed
from opsin.model import Engine, Model
from opsin.model.pretrained import place_weights, starting_network
from opsin.model.record import held_out, held_out_split, measured_images, measured_on
from opsin.tasks.score import Score
from opsin.training.backend import engine_for, evaluation_engine_for
from opsin.training.checkpointer import Checkpointer
from opsin.training.checks import check, inference_graph, with_signs
from opsin.training.deadline import Deadline
from opsin.training.divergence import explain
from opsin.training.divergence_guard import Divergence, DivergenceGuard, Verified
from opsin.training.early_stopping import EarlyStopping
from opsin.training.events import (
    DIVERGED,
    STEPS,
    Epoch,
    Event,
    Finished,
    Interrupted,
    Rewound,
    StageStarted,
    Started,
    Step,
    Warning,
    log_record,
)
from opsin.training.freezing import element_count
from opsin.training.interrupt import Interruption
from opsin.training.messages import NOT_BETTER_THAN_CONSTANT
from opsin.training.non_finite import Diverged, all_finite
from opsin.training.plan import TrainingPlan
from opsin.training.recorder import Recorder
from opsin.training.replay import ReplayRecorder
from opsin.training.saving import ModelWriter
from opsin.training.stages import (
    StageRuntime,
    TrainingContext,
    epoch_batches,
    initial_values,
    prepare,
    preprocessing_for,
)
from opsin.training.state import ModelState, Snapshot, State, TrainerState
from opsin.training.stopwatch import Stopwatch
from opsin.training.truncation import truncated_epochs

LR_FACTOR = 0.1
"""The factor of the learning rates after a rollback."""


class Trainer:
    """One run: iterating over it trains and yields events; then `model` is the result, saved as `saved_path`.

    With a `run` everything is written to its folder, and a run that began earlier continues from its last checkpoint. A
    new run may also be set after construction; an error in the arguments then leaves no folder. `network` is a layer of
    your own if the zoo does not have the plan's. `deadline` is the time limit in seconds: if training takes longer than
    planned, the last stage gets fewer epochs. `clock` returns the time in seconds. The constructor raises errors in the
    arguments, before anything is trained.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        data: Dataset,
        *,
        network: nn.Layer | None = None,
        run: Recorder | None = None,
        out: Path | None = None,
        deadline: float | None = None,
        threads: int | None = None,
        engine: Engine = compile_native,
        warnings: Sequence[str] = (),
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        data = with_signs(data.stacked(zoo.frames(plan.network)).for_network(plan.network), plan.signed)
        check(plan, data, out, threads)
        layer = _network(plan, data, network)
        graph = inference_graph(layer, data)
        self.plan, self.data, self.out, self.warnings = plan, data, out, tuple(warnings)
        self.model = Model(
            plan.network, graph, {}, preprocessing_for(plan, data), data.task,
            nn.layer_kinds(layer), engine=evaluation_engine_for(plan, engine), threads=threads, tta=plan.tta,
        )  # fmt: skip
        self.context = TrainingContext(plan, data, layer, self.model, engine_for(plan, engine), threads)
        self.interruption = Interruption()
        self.stopwatch = Stopwatch(clock)
        self.guard = DivergenceGuard(data.task.chance_loss)
        self.early_stopping = EarlyStopping(plan, data.task)
        self.deadline = Deadline(plan, deadline, clock)
        self.checkpointer = Checkpointer(run)
        self.writer = ModelWriter(plan, data, self.model)
        self.replay: ReplayRecorder | None = None

        checkpoint = run.resume() if run else None
        self.state = TrainerState(best_loss=self.guard.chance_loss)
        self.values: State
        if checkpoint:
            self.state = checkpoint.state
            checkpoint_values = {**checkpoint.outside, **checkpoint.values}
            self.values = {name: checkpoint_values[name] for name in graph.variables}
        else:
            self.values = initial_values(layer, graph, plan, data)
        self.runtime: StageRuntime | None = prepare(self.context, plan.stages[self.state.stage], self.values)
        if checkpoint:
            self.runtime.program.load_state(checkpoint.values)
        self.snapshot = checkpoint or Snapshot(self.state, self.runtime.program.state(), self.runtime.outside)
        self.model.load_state(self.values)

    @property
    def run(self) -> Recorder | None:
        """The recorder of the run; None if it is not recorded."""
        return self.checkpointer.recorder

    @run.setter
    def run(self, run: Recorder) -> None:
        self.checkpointer.recorder = run

    @property
    def history(self) -> list[Epoch]:
        """The epochs so far, with their results."""
        return list(self.state.history)

    @property
    def saved_path(self) -> Path | None:
        """The file in which the model was saved last."""
        return self.writer.path

    def __iter__(self) -> Iterator[Event]:
        self.stopwatch.lap()
        try:
            for event in self._events():
                self._log(log_record(event))
                yield event
        except Diverged as error:
            self._log({"event": DIVERGED, "text": str(error)})
            raise
        finally:
            if self.run:
                self.run.close()

    def _log(self, record: dict[str, Any] | None) -> None:
        if self.run and record:
            self.run.log(record)

    def _events(self) -> Iterator[Event]:
        plan, data = self.plan, self.data
        parameters = sum(self.values[name].size for name in self.model.graph.parameters)
        yield Started(
            plan.network, parameters, len(data.train), len(held_out(data)), len(data.test or ()),
            len(data.task.labels), plan.epochs, len(plan.stages), self.state.steps,
        )  # fmt: skip
        for path in self.run.damaged if self.run else ():
            yield Warning(f"{path} is damaged; training continues from the checkpoint before it")
        yield from map(Warning, self.warnings)
        yield from self._begin_replay()
        with self.interruption:
            while self.state.stage < len(plan.stages) and not self.interruption.requested:
                yield from self._stage(self.runtime or self._next_runtime())
            yield from self._finish() if self.state.stage == len(plan.stages) else self._interrupt()

    # -- stages and epochs ------------------------------------------------------------------------

    def _next_runtime(self) -> StageRuntime:
        """Compile the next stage, which begins with the result of the one before."""
        runtime = self.runtime = prepare(self.context, self.plan.stages[self.state.stage], self.values)
        # A network in simulated int8 is worth more than its scores in float32 say.
        best = None if runtime.stage.qat else self.snapshot.best
        self.snapshot = replace(
            self.snapshot, state=self.state, values=runtime.program.state(), outside=runtime.outside, best=best
        )
        return runtime

    def _stage(self, runtime: StageRuntime) -> Iterator[Event]:
        """Train for the rest of a stage; an interruption ends it early."""
        stage, program, state = runtime.stage, runtime.program, self.state
        parameters = sum(map(element_count, program.graph.parameters.values()))
        yield StageStarted(
            stage.name, state.stage + 1, stage.epochs, len(runtime.feed), runtime.batch, parameters, state.epoch,
            runtime.compile_seconds, stage.views if stage.features else 0,
        )  # fmt: skip
        self.deadline.on_stage_start(state)
        while self.state.epoch < truncated_epochs(stage.epochs, self.state.truncations) and not self.state.stopped:
            if self.interruption.requested:
                return
            yield from self._epoch(runtime)
        self.values = self._result().values
        self.state = self.state.after_stage()
        self.runtime = None  # Its memory is free before the next stage is compiled.

    def _epoch(self, runtime: StageRuntime) -> Iterator[Event]:
        """Train for the rest of an epoch; an interruption or a rollback ends it early."""
        program, steps = runtime.program, len(runtime.feed)
        self.deadline.on_epoch_start(self.state)
        with epoch_batches(runtime.feed, self._run_epoch(self.state), self.state.step) as batches:
            for images, targets in batches:
                if self.interruption.requested:
                    return
                rate = runtime.learning_rate(self.state, self.state.step)
                outputs = program.run(inputs=images, **targets, learning_rate=rate)
                loss, correct = float(outputs["loss"]), int(outputs["correct"]) if "correct" in outputs else None
                self.state = self.state.after_step(loss, correct, runtime.batch)
                verdict = self.guard.on_step(loss, self.state.step, steps, program.state)
                if isinstance(verdict, Divergence):
                    yield self._roll_back(runtime, verdict.text)
                    return
                if self.replay and self.state.steps in self.replay.steps:
                    yield from self._record_frame(runtime.network_values(program.state()))
                if verdict:
                    yield from self._take_snapshot(runtime, verdict)
                yield Step(self.state.epoch + 1, self.state.steps, loss, correct, runtime.batch)
        yield from self._end_epoch(runtime)

    def _run_epoch(self, state: TrainerState) -> int:
        """Return the number of a state's epoch in the whole run, from 1."""
        return 1 + sum(stage.epochs for stage in self.plan.stages[: state.stage]) + state.epoch

    def _begin_replay(self) -> Iterator[Event]:
        """If the run keeps a replay: remove frames after the present step, and record the one before the first step."""
        store = self.run.replay if self.run else None
        if store is None:
            return
        self.replay = ReplayRecorder(self.plan, self.data, self.model, store)
        self.replay.truncate(self.state.steps)
        if warning := self.replay.record_images():
            yield warning
        if not self.state.steps:
            yield from self._record_frame(self.values)

    def _record_frame(self, values: State) -> Iterator[Event]:
        if self.replay and (warning := self.replay.record(self.state.steps, values)):
            yield warning

    def _take_snapshot(self, runtime: StageRuntime, verified: Verified) -> Iterator[Event]:
        """Keep values that were verified, to roll back to, and write a checkpoint if one is due."""
        self.state = self.state.after_seconds(self.stopwatch.lap())
        last_finite = self.snapshot.last_finite
        if verified.mean_loss <= self.state.best_loss:
            self.state = replace(self.state, best_loss=verified.mean_loss)
            last_finite = ModelState(self.state.steps, runtime.network_values(verified.values))
        self.snapshot = replace(self.snapshot, state=self.state, values=verified.values, last_finite=last_finite)
        rate = runtime.learning_rate(self.state, self.state.step - 1)
        self._log({"event": STEPS, "step": self.state.steps, "loss": verified.mean_loss, "learning_rate": rate})
        if self.state.step < len(runtime.feed) and (warning := self.checkpointer.on_step(self.snapshot)):
            yield warning

    def _end_epoch(self, runtime: StageRuntime) -> Iterator[Event]:
        """Measure the model, let the policies decide, and write a checkpoint."""
        values, best = runtime.network_values(self.snapshot.values), self.snapshot.best
        score = runtime.score(values)
        is_best = self.early_stopping.is_best(self.state, score)
        self.state = self.state.after_seconds(self.stopwatch.lap())
        self.state = self.state.after_epoch(runtime.stage.name, runtime.batch, score, is_best)
        if is_best and self.plan.patience is not None and not runtime.stage.qat:
            best = ModelState(self.state.steps, values)
        stop_event = self.early_stopping.on_epoch(self.state)
        shortened = self.deadline.on_epoch(self.state, len(runtime.feed))
        self.state = self.state.after_decisions(stop_event is not None, shortened.epochs if shortened else None)
        self.snapshot = replace(self.snapshot, state=self.state, best=best)
        yield self.state.history[-1]
        if shortened:
            yield shortened
        if warning := self.checkpointer.on_epoch(self.snapshot):
            yield warning
        if stop_event:
            yield stop_event

    # -- divergence -------------------------------------------------------------------------------

    def _roll_back(self, runtime: StageRuntime, problem: str) -> Rewound:
        """Return to the last snapshot with lower learning rates. Raise `Diverged` the second time."""
        if self.state.rewinds:
            raise self._divergence(runtime, problem)
        diverged_state = self.state.after_seconds(self.stopwatch.lap())
        self.state = self.snapshot.state.after_rollback(LR_FACTOR, diverged_state.seconds)
        self.snapshot = replace(self.snapshot, state=self.state)
        runtime.program.load_state(self.snapshot.values)
        if self.replay:
            self.replay.truncate(self.state.steps)
        return Rewound(
            runtime.stage.name, diverged_state.epoch + 1, diverged_state.steps, self.state.steps, problem,
            self.state.lr_scale,
        )  # fmt: skip

    def _divergence(self, runtime: StageRuntime, problem: str) -> Diverged:
        """Return the error that ends the run: it names step, layer and images. The last verified model is saved."""
        epoch, steps = self._run_epoch(self.snapshot.state), self.state.steps - self.snapshot.state.steps
        text = explain(runtime, self.data, self.snapshot, epoch, steps, problem)
        verified = self.snapshot.best or self.snapshot.last_finite
        if verified is None:
            return Diverged(f"{text}\nNothing had been learned yet, so no model was kept.", None)
        self.writer.load(verified)
        self._save(verified, "diverged")
        location = f"is in {self.saved_path}" if self.saved_path else "is kept"
        return Diverged(f"{text}\nThe last good model, after step {verified.steps:,}, {location}.", self.model)

    # -- the end ----------------------------------------------------------------------------------

    def _result(self) -> ModelState:
        """Return the state of the network that is the model if training ends now."""
        if self.snapshot.best:
            return self.snapshot.best
        runtime = self.runtime
        values = runtime.network_values(runtime.program.state()) if runtime else self.values
        return ModelState(self.state.steps, values)

    def _finish(self) -> Iterator[Event]:
        result = self._result()
        self.writer.load(result)
        self.writer.quantize(self.state.images, self.snapshot.values)
        images = measured_images(self.data)
        if measured_on(self.data) == held_out_split(self.data):
            score = next(epoch.held_out for epoch in self.state.history if epoch.steps == result.steps)
        else:
            score = self.model.evaluate(images).score
        self._save(result, "finished", score)
        if self.data.task.is_constant(score, images.targets):
            yield Warning(renamed(NOT_BETTER_THAN_CONSTANT, self.data.train.kind))
        yield Finished(self.state.seconds, self.state.images, None if self.data.test is None else score)

    def _interrupt(self) -> Iterator[Event]:
        if self.state.steps:
            result = self._result()
            if self.runtime and not all_finite(result.values):
                values = self.runtime.network_values(self.snapshot.values)
                result = ModelState(self.snapshot.state.steps, values)
            if warning := self.checkpointer.on_epoch(self.snapshot):
                yield warning
            self.writer.load(result)
            self._save(result, "interrupted")
        yield Interrupted(self.state.epoch + (self.state.step > 0), self.state.steps)

    def _save(self, state: ModelState, ending: str, score: Score | None = None) -> None:
        """Save the model, which is `state`, in the run's folder and in the file that was asked for."""
        paths = ([self.run.model] if self.run else []) + ([self.out] if self.out else [])
        self.writer.save(paths, state, self.state.history, ending, score)


def _network(plan: TrainingPlan, data: Dataset, own: nn.Layer | None) -> nn.Layer:
    """Return the network of a plan, or the user's own, marked with the weights that it begins with."""
    if own is None:
        return starting_network(plan.network, data.task, plan.pretrained, plan.weights, data.input)
    if plan.weights is not None:
        place_weights(own, plan.weights)
    return own
