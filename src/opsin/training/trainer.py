"""The training loop: a plan's stages, epochs and steps, as a stream of events that ends with a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.base.errors import ShapeError, TrainingError, UsageError
from opsin.data import Dataset
from opsin.ir import Graph
from opsin.model import Engine, Model
from opsin.model.file import check_writable
from opsin.training.backend import engine_of
from opsin.training.deadline import epochs_of, fewer_epochs
from opsin.training.events import (
    Epoch,
    Event,
    Finished,
    Interrupted,
    Rewound,
    Score,
    Shortened,
    StageStarted,
    Started,
    Step,
    StoppedEarly,
    Warning,
)
from opsin.training.freezing import element_count
from opsin.training.interrupt import Interruption
from opsin.training.messages import DOUBTS, NO_NUMBER, diverged, record
from opsin.training.non_finite import Diverged, find_fault, finite
from opsin.training.plan import TrainingPlan
from opsin.training.recorder import Recorder
from opsin.training.saving import save_model
from opsin.training.stages import (
    WATCH,
    StageRuntime,
    TrainingContext,
    epoch_of,
    first_state,
    held_out,
    names_of,
    preparation,
    prepare,
)
from opsin.training.state import ModelState, Snapshot, TrainerState

BEYOND, FAR_BEYOND, ENOUGH_STEPS = 10.0, 100.0, 3
"""A median loss of so many times that of guessing counts as divergence; of fewer than `ENOUGH_STEPS` steps, the latter:
a few hard images of rare classes can make single losses very large."""

LOWER = 0.1
"""What the learning rate is multiplied by after a rewind."""


class Trainer:
    """One run: iterating over it trains and yields events; then `model` is the result, saved as `saved`.

    With a `run` everything is written to its folder, and a run that was begun before goes on from its last checkpoint;
    a new one may be set afterwards, so that what is refused leaves no folder. `network` is a layer of one's own, where
    the plan's is none of the zoo. `deadline` is how many seconds training may last: where it takes longer than planned,
    the last stage gets fewer epochs. What cannot work is refused here, before anything is trained.
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
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"the number of threads must be at least 1, not {threads}")
        if out:
            check_writable(out)
        if plan.class_weights is not None and len(plan.class_weights) != len(data.classes):
            raise UsageError(f"there are {len(plan.class_weights)} class weights for {len(data.classes)} classes")
        self.plan, self.data, self.run, self.out, self.deadline = plan, data, run, out, deadline
        layer = network or zoo.find(plan.network)(len(data.classes), pretrained=plan.pretrained)
        graph = self._inference(layer)
        engine = engine_of(plan, engine)
        self.model = Model(
            plan.network, graph, {}, preparation(plan, data), data.classes,
            nn.layer_kinds(layer), engine=engine, threads=threads, mirrored=plan.mirrored,
        )  # fmt: skip
        self.setting = TrainingContext(plan, data, layer, self.model, engine, threads)
        self.warnings = list(warnings)
        self.saved: Path | None = None
        self.unsaved = False
        self.guess = float(np.log(len(data.classes)))  # the loss of one who guesses
        self.interruption = Interruption()
        self._begin(run.resume() if run else None, first_state(layer, graph, plan, data))

    def _inference(self, layer: nn.Layer) -> Graph:
        graph = nn.trace(layer, self.data.shape)
        outputs, classes = graph.outputs["logits"].shape[1:], len(self.data.classes)
        if outputs != (classes,):
            raise ShapeError(
                f"the network gives {graph.outputs['logits'].type}, but {self.data.name} has {classes} classes; "
                f"end it with Linear({classes})"
            )
        return graph

    def _begin(self, checkpoint: Snapshot | None, state: dict[str, Any]) -> None:
        """At the beginning, or where a checkpoint was made."""
        self.memory = TrainerState(lowest=self.guess)
        self.good: ModelState | None = None
        self.best: ModelState | None = None
        self.work: StageRuntime | None = None
        self.state = state
        self.resumed = checkpoint
        if checkpoint:
            self.memory, self.good, self.best = checkpoint.memory.copy(), checkpoint.good, checkpoint.best
            self.state = {name: checkpoint.state.get(name, checkpoint.outside.get(name)) for name in state}
        if self.memory.stage < len(self.plan.stages):
            self._prepare()
        self.model.load_state(self.state)

    @property
    def history(self) -> list[Epoch]:
        """What came of each epoch so far."""
        return list(self.memory.history)

    # -- stages -----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        self.clock = perf_counter()
        try:
            for event in self._events():
                if self.run and not isinstance(event, Step):
                    self.run.log({"event": type(event).__name__.lower(), **asdict(event)})
                yield event
        except Diverged as error:
            if self.run:
                self.run.log({"event": "diverged", "text": str(error)})
            raise
        finally:
            if self.run:
                self.run.close()

    def _events(self) -> Iterator[Event]:
        plan, data = self.plan, self.data
        parameters = sum(self.state[name].size for name in self.model.graph.parameters)
        yield Started(
            plan.network, parameters, len(data.train), len(held_out(data)), len(data.require_test()), len(data.classes),
            plan.epochs, len(plan.stages), self.memory.steps,
        )  # fmt: skip
        for path in self.run.damaged if self.run else ():
            yield Warning(f"{path} is damaged; training goes on from the checkpoint before it")
        yield from self._warnings()
        with self.interruption:
            while self.memory.stage < len(plan.stages) and not self.interruption.asked:
                yield from self._stage()
            if self.memory.stage < len(plan.stages):
                yield self._interrupted()
            else:
                yield from self._finished()

    def _prepare(self) -> StageRuntime:
        """Compiles the stage that the memory says, and loads what it begins with, or the checkpoint."""
        self.work = prepare(self.setting, self.plan.stages[self.memory.stage], self.state)
        if self.resumed:
            self.work.program.load_state(self.resumed.state)
        self.snapshot = Snapshot(self.memory.copy(), self.work.program.state(), self.work.outside, self.good, self.best)
        self.resumed, self.losses = None, list[float]()
        return self.work

    def _stage(self) -> Iterator[Event]:
        """The rest of a stage; an interruption ends it early."""
        work, memory = self.work or self._prepare(), self.memory
        stage, batch, self.entered = work.stage, work.program.batch, memory.epoch
        parameters = sum(map(element_count, work.program.graph.parameters.values()))
        yield StageStarted(
            stage.name, memory.stage + 1, stage.epochs, len(work.feed), batch, parameters, memory.epoch, work.compiling,
            stage.views if stage.features else 0,
        )  # fmt: skip
        while self.memory.epoch < epochs_of(stage.epochs, self.memory.cuts) and not self.memory.stopped:
            if self.interruption.asked:
                return
            yield from self._epoch(work)
        self.state = dict(self._result().state)
        self.memory.stage, self.memory.epoch, self.memory.stopped = self.memory.stage + 1, 0, False
        self.memory.cuts = ()
        self.work = None

    # -- epochs -----------------------------------------------------------------------------------

    def _epoch(self, work: StageRuntime) -> Iterator[Event]:
        """The rest of an epoch and its result; an interruption or a rewind ends it early."""
        memory, first = self.memory, self._epochs_before(self.memory.stage)
        self.began = perf_counter(), memory.step
        with epoch_of(work.feed, first + memory.epoch + 1, memory.step) as batches:
            for images, labels in batches:
                if self.interruption.asked:
                    return
                rate = work.rate_of(memory, memory.step)
                outputs = work.program.run(inputs=images, labels=labels, learning_rate=rate)
                loss, correct = float(outputs["loss"]), int(outputs["correct"])
                memory.losses, memory.correct = memory.losses + loss, memory.correct + correct
                memory.step, memory.steps = memory.step + 1, memory.steps + 1
                memory.images += len(images)
                self.losses.append(loss)
                trouble = "" if np.isfinite(loss) else NO_NUMBER
                if not trouble and (memory.step % WATCH == 0 or memory.step == len(work.feed)):
                    trouble = self._watch(work)
                if trouble:
                    yield self._rewind(work, trouble)
                    return
                yield Step(memory.epoch + 1, memory.steps, loss, correct, work.program.batch)
        yield from self._end_epoch(work)

    def _watch(self, work: StageRuntime) -> str:
        """Takes a snapshot, if the run is sound; otherwise says what is wrong."""
        memory, state = self.memory, work.program.state()
        if not finite(state):
            return NO_NUMBER
        mean, usual = float(np.mean(self.losses)), float(np.median(self.losses))
        if usual > (BEYOND if len(self.losses) >= ENOUGH_STEPS else FAR_BEYOND) * self.guess:
            return f"the loss rose to {usual:.3g}, where guessing has {self.guess:.3g}"
        self._tick()
        if mean <= memory.lowest:
            memory.lowest, self.good = mean, ModelState(memory.steps, work.network(state))
        self.snapshot = Snapshot(memory.copy(), state, work.outside, self.good, self.best)
        self.losses = []
        if self.run:
            rate = work.rate_of(memory, memory.step - 1)
            self.run.log({"event": "steps", "step": memory.steps, "loss": mean, "learning_rate": rate})
            if self.run.due and memory.step < len(work.feed):
                self._checkpoint(self.run)
        return ""

    def _tick(self) -> None:
        """Adds the time since the last tick to that of the run."""
        now = perf_counter()
        self.memory.seconds, self.clock = self.memory.seconds + now - self.clock, now

    def _end_epoch(self, work: StageRuntime) -> Iterator[Event]:
        """Measures, remembers what is best, and makes a checkpoint."""
        memory, stage = self.memory, work.stage
        state = work.network(self.snapshot.state)
        score = work.score(state)
        better = all(self._merit(score) > self._merit(epoch.held_out) for epoch in memory.history)
        self._tick()
        epoch = Epoch(
            stage.name, memory.epoch + 1, memory.steps, memory.losses / memory.step,
            memory.correct / (memory.step * work.program.batch), score, better,
            memory.seconds - sum(e.seconds for e in memory.history),
        )  # fmt: skip
        memory.history = (*memory.history, epoch)
        memory.epoch, memory.step, memory.losses, memory.correct = memory.epoch + 1, 0, 0.0, 0
        if self.plan.patience is not None:
            if better:
                self.best = ModelState(memory.steps, state)
            memory.stopped = self._waiting(stage.name) >= self.plan.patience and memory.epoch < stage.epochs
        shortened = self._shortened(work)
        self.snapshot = Snapshot(memory.copy(), self.snapshot.state, work.outside, self.good, self.best)
        yield epoch
        if shortened:
            yield shortened
        if self.run:
            self._checkpoint(self.run)
        yield from self._warnings()
        if memory.stopped:
            waited = self._waiting(stage.name)
            yield StoppedEarly(stage.name, memory.epoch, memory.epoch - waited, waited)

    def _merit(self, score: Score) -> tuple[float, float]:
        """By what results are compared: by balanced accuracy if the plan balances classes, then by the loss."""
        balanced = score.balanced if self.plan.balances else None
        return score.accuracy if balanced is None else balanced, -score.loss

    def _shortened(self, work: StageRuntime) -> Shortened | None:
        """Cuts the last stage to the epochs for which there is time, going by the epoch that has just passed.

        Not while features are still computed, which begins anew where a run is resumed: these epochs say nothing of
        later ones.
        """
        memory, stage = self.memory, work.stage
        computing = stage.features and memory.epoch - self.entered <= stage.views
        if self.deadline is None or stage is not self.plan.stages[-1] or computing:
            return None
        began, step = self.began
        an_epoch = (perf_counter() - began) * len(work.feed) / max(1, len(work.feed) - step)
        epochs = epochs_of(stage.epochs, memory.cuts)
        fewer = fewer_epochs(memory.epoch, epochs, an_epoch, self.deadline - memory.seconds)
        if fewer is None:
            return None
        memory.cuts = (*memory.cuts, (memory.epoch, fewer))
        return Shortened(stage.name, memory.epoch, fewer, stage.epochs)

    def _waiting(self, stage: str) -> int:
        """Epochs of the stage since the last that was better than all before."""
        mine = [epoch.better for epoch in self.memory.history if epoch.stage == stage]
        return mine[::-1].index(True) if any(mine) else len(mine)

    def _epochs_before(self, stage: int) -> int:
        """Those planned for the stages before."""
        return sum(each.epochs for each in self.plan.stages[:stage])

    def _checkpoint(self, run: Recorder) -> None:
        """Writes one; that the disk is full is no reason to stop, and is said once."""
        try:
            run.save(self.snapshot)
            self.unsaved = False
        except TrainingError as error:
            if not self.unsaved:
                self.warnings.append(f"{error}; training goes on without it, and tries again later")
            self.unsaved = True

    def _warnings(self) -> Iterator[Event]:
        """Those that have gathered since."""
        yield from (Warning(text) for text in self.warnings)
        self.warnings.clear()

    # -- when numbers leave the finite ------------------------------------------------------------

    def _rewind(self, work: StageRuntime, trouble: str) -> Rewound:
        """Goes back to the last snapshot and lowers the learning rates; `Diverged` where that was done before."""
        at, snapshot = self.memory, self.snapshot
        if at.rewinds:
            raise self._diverged(work, trouble)
        self._tick()
        memory = self.memory = snapshot.memory.copy()
        memory.rewinds, memory.factor, memory.seconds = 1, memory.factor * LOWER, at.seconds
        work.program.load_state(snapshot.state)
        self.snapshot = Snapshot(memory.copy(), snapshot.state, snapshot.outside, snapshot.good, snapshot.best)
        self.losses = []
        return Rewound(work.stage.name, at.epoch + 1, at.steps, memory.steps, trouble, memory.factor)

    def _diverged(self, work: StageRuntime, trouble: str) -> Diverged:
        """The error that ends the run: it names step, layer and images; the last good model is saved."""
        before, passed = self.snapshot.memory, self.memory.steps - self.snapshot.memory.steps
        number = 1 + self._epochs_before(before.stage) + before.epoch
        fault = find_fault(work.program, self.snapshot.state, islice(work.inputs(number, before), passed))
        step = fault.step if fault else passed
        names = names_of(self.data, work.chosen(number, before.step + step - 1))
        kept = self.best or self.good
        if kept:
            self._take(kept)
            self._save(kept, "diverged")
        text = diverged(work.stage, before, step, fault, trouble, names)
        if kept is None:
            return Diverged(f"{text}\nNothing had been learnt yet, so no model was kept.", None)
        place = f"is in {self.saved}" if self.saved else "is kept"
        return Diverged(f"{text}\nThe last good model, after step {kept.steps:,}, {place}.", self.model)

    # -- the end ----------------------------------------------------------------------------------

    def _result(self) -> ModelState:
        """The state of the network that is the model, if training ends now."""
        if self.best:
            return self.best
        state = self.work.network(self.work.program.state()) if self.work else self.state
        return ModelState(self.memory.steps, state)

    def _finished(self) -> Iterator[Event]:
        kept = self._result()
        self._take(kept)
        if self.data.validation is None:
            test = next(epoch.held_out for epoch in self.memory.history if epoch.steps == kept.steps)
        else:
            test = Score.of(self.model.evaluate(self.data.require_test()))
        self._save(kept, "finished", test)
        counts = self.data.require_test().counts()
        if test.accuracy <= max(counts) / sum(counts):
            yield Warning(DOUBTS)
        yield Finished(self.memory.seconds, self.memory.images, test)

    def _interrupted(self) -> Interrupted:
        memory = self.memory
        if memory.steps:
            kept = self._result()
            if not finite(kept.state) and self.work:
                kept = ModelState(self.snapshot.memory.steps, self.work.network(self.snapshot.state))
            if self.run:
                self._checkpoint(self.run)
            self._take(kept)
            self._save(kept, "interrupted")
        return Interrupted(memory.epoch + (memory.step > 0), memory.steps)

    def _take(self, kept: ModelState) -> None:
        """Makes `kept` the model, and has it say how sure it is by what validation shows."""
        self.model.load_state(kept.state)
        if self.data.validation is not None and len(self.data.validation):
            self.model.calibrate(self.data.validation)

    def _save(self, kept: ModelState, ended: str, test: Score | None = None) -> None:
        """Saves the model, which is `kept`, where it is wanted."""
        self.model.record = record(self.plan, self.data, self.memory.history, kept.steps, ended, test)
        for path in ([self.run.model] if self.run else []) + ([self.out] if self.out else []):
            save_model(self.model, path)
            self.saved = path
