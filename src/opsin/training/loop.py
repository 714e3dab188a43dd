"""The training loop: a plan's stages, epochs and steps, as a stream of events that ends with a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from opsin import nn, zoo
from opsin.data import Dataset, Preprocessing
from opsin.engines.native import compile as compile_native
from opsin.errors import ShapeError, TrainingError, UsageError
from opsin.graph import Graph
from opsin.model import Engine, Model
from opsin.model.file import check_writable
from opsin.training.events import (
    Epoch,
    Event,
    Finished,
    Interrupted,
    Rewound,
    Score,
    StageStarted,
    Started,
    Step,
    StoppedEarly,
    Warning,
)
from opsin.training.fault import Diverged, finite
from opsin.training.interrupt import Interruption
from opsin.training.memory import Kept, Memory, Snapshot
from opsin.training.plan import Plan
from opsin.training.run import Run
from opsin.training.saving import save_model
from opsin.training.stages import Setting, Work, first_state, held_out, prepare
from opsin.training.words import diverged, doubts, record

WATCH = 50
"""Steps between two looks at every parameter; from the last of them training can go on."""

BEYOND = 10.0
"""A mean loss of so many times that of one who guesses is beyond reason."""

LOWER = 0.1
"""What the learning rate is multiplied by after a rewind."""


class Training:
    """One run: iterating over it trains and yields events; then `model` is the result.

    With a `run` everything is written to its folder, and a run that was begun before goes on from its last checkpoint.
    `network` is a layer of one's own, where the plan's is none of the zoo. What cannot work is refused here, before
    anything is trained.
    """

    def __init__(
        self,
        plan: Plan,
        data: Dataset,
        *,
        network: nn.Layer | None = None,
        preprocessing: Preprocessing | None = None,
        run: Run | None = None,
        out: Path | None = None,
        threads: int | None = None,
        engine: Engine = compile_native,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"the number of threads must be at least 1, not {threads}")
        if out:
            check_writable(out)
        if plan.class_weights is not None and len(plan.class_weights) != len(data.classes):
            raise UsageError(f"there are {len(plan.class_weights)} class weights for {len(data.classes)} classes")
        self.plan, self.data, self.run, self.out = plan, data, run, out
        layer = network or zoo.find(plan.network)(len(data.classes), pretrained=plan.pretrained)
        graph = self._inference(layer)
        self.model = Model(
            plan.network, graph, {}, preprocessing or Preprocessing.of(data.train), data.classes,
            nn.layer_kinds(layer), engine=engine, threads=threads,
        )  # fmt: skip
        self.setting = Setting(plan, data, layer, self.model, engine, threads)
        self.guess = float(np.log(len(data.classes)))  # the loss of one who guesses
        self.interruption = Interruption()
        self._begin(run.resume() if run else None, first_state(layer, graph, plan.seed))

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
        self.memory = Memory(lowest=self.guess)
        self.good: Kept | None = None
        self.best: Kept | None = None
        self.work: Work | None = None
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
        try:
            for event in self._events():
                if self.run and not isinstance(event, Step):
                    self.run.log({"event": type(event).__name__.lower(), **asdict(event)})
                yield event
        finally:
            if self.run:
                self.run.close()

    def _events(self) -> Iterator[Event]:
        plan, data = self.plan, self.data
        parameters = sum(self.state[name].size for name in self.model.graph.parameters)
        yield Started(
            plan.network, parameters, len(data.train), len(held_out(data)), len(data.test), len(data.classes),
            plan.epochs, len(plan.stages), self.memory.steps,
        )  # fmt: skip
        for path in self.run.damaged if self.run else ():
            yield Warning(f"{path} is damaged; training goes on from the checkpoint before it")
        with self.interruption:
            while self.memory.stage < len(plan.stages) and not self.interruption.asked:
                yield from self._stage()
            if self.memory.stage < len(plan.stages):
                yield self._interrupted()
            else:
                yield from self._finished()

    def _prepare(self) -> Work:
        """Compiles the stage that the memory says, and loads what it begins with, or the checkpoint."""
        self.work = prepare(self.setting, self.plan.stages[self.memory.stage], self.state)
        if self.resumed:
            self.work.program.load_state(self.resumed.state)
        self.snapshot = Snapshot(
            self.memory.copy(), self.work.program.state(), self.work.outside, self.good, self.best
        )
        self.resumed, self.losses = None, list[float]()
        return self.work

    def _stage(self) -> Iterator[Event]:
        """The rest of a stage; an interruption ends it early."""
        work, memory = self.work or self._prepare(), self.memory
        stage, batch = work.stage, work.program.batch
        parameters = sum(t.type.size(batch) for t in work.program.graph.parameters.values())
        yield StageStarted(
            stage.name, memory.stage + 1, stage.epochs, len(work.feed), batch, parameters, memory.epoch, work.compiling
        )
        while self.memory.epoch < stage.epochs and not self.memory.stopped:
            if self.interruption.asked:
                return
            yield from self._epoch(work)
        self.state = dict(self._result().state)
        self.memory.stage, self.memory.epoch, self.memory.stopped = self.memory.stage + 1, 0, False
        self.work = None
