"""The training loop: `Training` yields events and makes a model, `train` just makes the model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from opsin import nn, zoo
from opsin.data import Augmentation, Batches, Dataset, Preprocessing
from opsin.data import load as load_data
from opsin.engines.native import compile as compile_native
from opsin.errors import ModelError, ShapeError, UsageError
from opsin.graph import Graph
from opsin.model import Engine, Model
from opsin.model.file import check_writable
from opsin.model.published import initial_state
from opsin.training.events import Epoch, Event, Finished, Interrupted, Started, Step, Warning
from opsin.training.fault import Diverged, Snapshot, find_fault, finite
from opsin.training.interrupt import Interruption
from opsin.training.recipe import Recipe, epochs_for

WATCH = 50
"""Steps between two looks at every parameter."""


def train(
    network: str | nn.Layer,
    data: Dataset | str | os.PathLike[str],
    *,
    epochs: int | None = None,
    batch: int = Recipe.batch,
    seed: int = Recipe.seed,
    learning_rate: float = Recipe.learning_rate,
    threads: int | None = None,
    out: str | os.PathLike[str] | None = None,
    engine: Engine = compile_native,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """A model of `data`, trained by Opsin's recipe; the same seed and data give the same bits.

    `network` is a name of the zoo ("lenet5") or a layer, `data` a dataset or what `opsin.data.load`
    takes; without `epochs` their number follows from the data's size, without `threads` every core
    works. Ctrl-C ends the training after the step it is in. Raises `Diverged` when numbers leave
    the finite; with `out` the model, or then the last good one, is saved there.
    """
    recipe = Recipe(epochs, batch, learning_rate, seed)
    training = Training(network, data, recipe, threads=threads, out=out, engine=engine)
    for event in training:
        if on_event:
            on_event(event)
    return training.model


class Training:
    """One run: iterating over it trains and yields events; then `model` is the result. See `train`.

    What cannot work is refused here, before anything is trained.
    """

    def __init__(
        self,
        network: str | nn.Layer,
        data: Dataset | str | os.PathLike[str],
        recipe: Recipe,
        *,
        threads: int | None = None,
        out: str | os.PathLike[str] | None = None,
        engine: Engine = compile_native,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"the number of threads must be at least 1, not {threads}")
        self.out = None if out is None else Path(out)
        if self.out:
            check_writable(self.out)
        self.data = data if isinstance(data, Dataset) else load_data(data)
        self.recipe, self.batch = recipe, min(recipe.batch, len(self.data.train))
        self.epochs = recipe.epochs or epochs_for(len(self.data.train))
        name = network if isinstance(network, str) else type(network).__name__
        layer = zoo.create(network, classes=len(self.data.classes)) if isinstance(network, str) else network
        preprocessing = Preprocessing.of(self.data.train)
        self.model = Model(
            name, self._inference(layer), {}, preprocessing, self.data.classes, nn.layer_kinds(layer),
            engine=engine, threads=threads,
        )  # fmt: skip
        augmentation = Augmentation(*self.data.shape[1:], recipe.seed)
        self.batches = Batches(self.data.train, preprocessing, self.batch, recipe.seed, augmentation)
        self.steps = len(self.batches)
        self.rate = nn.schedules.one_cycle(recipe.learning_rate, self.epochs * self.steps, recipe.rise)
        self._compile(layer, engine, threads)
        self.interruption = Interruption()
        self.history: list[Epoch] = []

    def _inference(self, layer: nn.Layer) -> Graph:
        graph = nn.trace(layer, self.data.shape)
        outputs, classes = graph.outputs["logits"].shape[1:], len(self.data.classes)
        if outputs != (classes,):
            raise ShapeError(
                f"the network gives {graph.outputs['logits'].type}, but {self.data.name} has {classes} classes; "
                f"end it with Linear({classes})"
            )
        return graph

    def _compile(self, layer: nn.Layer, engine: Engine, threads: int | None) -> None:
        optimizer = nn.optimizers.AdamW(weight_decay=self.recipe.weight_decay)
        graph = nn.training_graph(layer, self.data.shape, optimizer=optimizer)
        begin = perf_counter()
        self.program = engine(graph, self.batch, threads)
        self.compiling = perf_counter() - begin
        self.program.load_state(initial_state(layer, graph, self.recipe.seed))
        self.model.load_state(self.program.state())
        self.snapshot = Snapshot(0, self.program.state())
        self.good: Snapshot | None = None
        self.best = float(np.log(len(self.data.classes)))  # the loss of one who guesses

    def __iter__(self) -> Iterator[Event]:
        parameters = sum(self.model.state[name].size for name in self.model.graph.parameters)
        yield Started(
            self.model.network, parameters, len(self.data.train), len(self.data.test), len(self.data.classes),
            self.epochs, self.steps, self.batch, self.compiling,
        )  # fmt: skip
        begin, step, epoch = perf_counter(), 0, 0
        with self.interruption:
            while epoch < self.epochs and not self.interruption.asked:
                epoch += 1
                for event in self._epoch(epoch):
                    step = event.step if isinstance(event, Step) else step
                    yield event
            stopped = step < self.epochs * self.steps
            if step:
                self._finish(step, "interrupted" if stopped else "finished")
        yield Interrupted(epoch, step) if stopped else Finished(perf_counter() - begin, step * self.batch)

    def _epoch(self, epoch: int) -> Iterator[Event]:
        """The steps of one epoch and then its result; an interruption ends it early."""
        begin, losses, correct = perf_counter(), [], 0
        for step, (pixels, labels) in enumerate(self.batches.epoch(epoch), start=(epoch - 1) * self.steps + 1):
            if self.interruption.asked:
                return
            outputs = self.program.run(pictures=pixels, labels=labels, learning_rate=self.rate(step - 1))
            losses.append(float(outputs["loss"]))
            correct += int(outputs["correct"])
            if not np.isfinite(losses[-1]):
                self._diverge(step)
            if step % WATCH == 0:
                self._watch(step, losses[-WATCH:])
            yield Step(epoch, step, losses[-1], int(outputs["correct"]), len(labels))
        self._watch(epoch * self.steps, losses[-WATCH:])
        self.model.load_state(self.snapshot.state)
        held_out = self.model.evaluate(self.data.test)
        accuracy = correct / (self.steps * self.batch)
        self.history.append(Epoch(epoch, float(np.mean(losses)), accuracy, held_out, perf_counter() - begin))
        yield self.history[-1]
        if epoch == self.epochs:
            yield from self._doubts()

    def _watch(self, step: int, losses: list[float]) -> None:
        """Remembers the state after `step`, if it is sound, and whether it is the best so far."""
        state = self.program.state()
        if not finite(state):
            self._diverge(step)
        self.snapshot = Snapshot(step, state)
        if np.mean(losses) <= self.best:
            self.best, self.good = float(np.mean(losses)), self.snapshot

    def _doubts(self) -> Iterator[Event]:
        """A warning, if the model might as well give everything the same label."""
        counts, held_out = self.data.test.counts(), self.history[-1].held_out
        if held_out.accuracy <= max(counts) / sum(counts):
            yield Warning(
                "the model is no better than one that always gives the same answer; "
                "try another learning rate, more epochs or more pictures"
            )

    def _finish(self, step: int, ended: str) -> None:
        """Makes the model of the program's state, and saves it."""
        state = self.program.state()
        if not finite(state):
            self._diverge(step)
        self.model.load_state(state)
        self.model.record = self._record(step, ended)
        self._save()

    def _save(self) -> None:
        """Saves the model; where there is no room any more, at least in the system's folder for temporary files."""
        if self.out is None:
            return
        try:
            self.model.save(self.out)
        except ModelError as error:
            try:
                rescue = Path(tempfile.mkdtemp(prefix="opsin-")) / self.out.name
                self.model.save(rescue)
            except (ModelError, OSError):
                raise error from None
            raise ModelError(f"{error}\nThe trained model is safe in {rescue}: move it from there.") from None
        self.model.name = str(self.out)

    def _diverge(self, step: int) -> None:
        """Finds out where numbers left the finite, keeps the last good model, and raises `Diverged`."""
        fault = find_fault(self.program, self.snapshot, step, self._inputs)
        epoch, rate = 1 + (fault.step - 1) // self.steps, self.recipe.learning_rate
        layer = f"layer {fault.layer}" if fault.layer else "the loss"
        text = (
            f"step {fault.step} (epoch {epoch}): the values of {layer} left the finite. "
            f"The learning rate {rate:g} is too high; try {min(rate / 10, Recipe.learning_rate):g}.\n"
        )
        if self.good is None:
            raise Diverged(f"{text}Nothing had been learnt yet, so no model was kept.", None)
        self.model.load_state(self.good.state)
        self.model.record = self._record(self.good.step, "diverged")
        self._save()
        place = f"is in {self.out}" if self.out else "is kept"
        raise Diverged(f"{text}The last good model, after step {self.good.step}, {place}.", self.model)

    def _inputs(self, step: int) -> Mapping[str, Any]:
        """What the program was given in step `step`."""
        epoch, start = divmod(step - 1, self.steps)
        pixels, labels = next(self.batches.epoch(epoch + 1, start))
        return {"pictures": pixels, "labels": labels, "learning_rate": self.rate(step - 1)}

    def _record(self, step: int, ended: str) -> dict[str, Any]:
        """How the model came about, for its file; nothing in it depends on the clock."""
        recipe, data = self.recipe, self.data
        done = [epoch for epoch in self.history if epoch.epoch * self.steps <= step]
        return {
            "data": data.name,
            "fingerprint": data.fingerprint,
            "pictures": len(data.train),
            "held_out": len(data.test),
            "optimizer": {"name": "AdamW", "learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay},
            "schedule": {"name": "one_cycle", "rise": recipe.rise},
            "batch": self.batch,
            "seed": recipe.seed,
            "epochs": self.epochs,
            "steps": step,
            "ended": ended,
            "history": [
                {"loss": e.loss, "accuracy": e.accuracy, "held_out_accuracy": e.held_out.accuracy} for e in done
            ],
        }
