"""The run of a plan for classes with a few images each: features of all images, and a layer in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.data import Dataset, Samples
from opsin.data.pixels import chunks
from opsin.model import Engine, Model
from opsin.model.pretrained import initial_state, place_weights, starting_network
from opsin.model.record import Split
from opsin.nn.features import penultimate_graph
from opsin.tasks.classification import Classification
from opsin.tasks.registry import IDENTITY
from opsin.tasks.score import Score
from opsin.tasks.task import Task
from opsin.training.checks import check
from opsin.training.events import Epoch, Event, Finished, Interrupted, StageStarted, Started, Warning, log_record
from opsin.training.features import FeatureExtractor
from opsin.training.few_shot import Fitted, LeftOut, fit, left_out
from opsin.training.interrupt import Interruption
from opsin.training.plan import TrainingPlan
from opsin.training.recorder import Recorder
from opsin.training.saving import ModelWriter
from opsin.training.stages import preprocessing_for
from opsin.training.state import ModelState, State
from opsin.zoo.feature_classifier import HEAD, FeatureClassifier, Thumbnails

THUMBNAILS = "thumbnails"
"""The name of the network of a plan without trained weights."""

FEW_SHOT = "few_shot"
"""An entry of a training record: how the last layer was computed, and the result on images that were left out."""

LEFT_OUT: Split = "left-out"
"""What these images are called in place of a split."""

WEIGHT, BIAS = f"{HEAD}.weight", f"{HEAD}.bias"


class FewShotTrainer:
    """A run with the interface of `Trainer`: iterating over it yields events; then `model` is the result.

    It takes seconds and writes no checkpoints: a run that was interrupted is repeated when it is resumed.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        data: Dataset,
        *,
        run: Recorder | None = None,
        out: Path | None = None,
        threads: int | None = None,
        engine: Engine = compile_native,
        warnings: Sequence[str] = (),
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        check(plan, data, out, threads)
        self.plan, self.data, self.out, self.run, self.warnings = plan, data, out, run, tuple(warnings)
        self.clock = clock
        network = few_shot_network(plan, data.task)
        trained = initial_state(network, nn.trace(network, data.shape), plan.seed)
        layer = FeatureClassifier(network, data.task.outputs)
        graph = nn.trace(layer, data.shape)
        data.task.check(graph)
        scopes = {node.scope for node in graph.nodes}
        kinds = {path: kind for path, kind in nn.layer_kinds(layer).items() if path in scopes}
        self.model = Model(
            plan.network, graph, {}, preprocessing_for(plan, data), data.task, kinds, engine=engine, threads=threads,
            tta=plan.tta,
        )  # fmt: skip
        self.values = nn.initial_state(graph, plan.seed)
        self.values |= {name: trained[name] for name in graph.variables if name in trained}
        self.writer = ModelWriter(plan, data, self.model)
        self.history: list[Epoch] = []
        self.interruption = Interruption()
        if run:
            run.resume()

    @property
    def saved_path(self) -> Path | None:
        """The file in which the model was saved last."""
        return self.writer.path

    def __iter__(self) -> Iterator[Event]:
        try:
            with self.interruption:
                for event in self._events():
                    record = log_record(event)
                    if self.run and record:
                        self.run.log(record)
                    yield event
        finally:
            if self.run:
                self.run.close()

    def _events(self) -> Iterator[Event]:
        data, begin, images = self.data, self.clock(), len(self.data.train)
        parameters = sum(self.values[name].size for name in self.model.graph.parameters)
        head = sum(self.values[name].size for name in (WEIGHT, BIAS))
        yield Started(
            self.plan.network, parameters, images, images, len(data.test or ()), len(data.task.labels), 1, 1, 0
        )  # fmt: skip
        yield from map(Warning, self.warnings)
        yield StageStarted(HEAD, 1, 1, 1, images, head, 0, 0.0, 0)
        fitted = self._fit()
        if self.interruption.requested:
            yield Interrupted(0, 0)
            return
        if score := _score(data.task, fitted.left_out):
            self.model.calibration = data.task.calibrate([fitted.left_out.reduced])
            self.history.append(Epoch(HEAD, 1, 1, score.loss, score.accuracy, score, True, self.clock() - begin))
            yield self.history[0]
        test = None if data.test is None else self.model.evaluate(data.test).score
        self._save(fitted, test)
        yield Finished(self.clock() - begin, images, test)

    def _fit(self) -> Fitted:
        """Compute the last layer, and give the model its values."""
        train, labels = self.data.train, self.model.task.labels
        fitted = fit(unit_features(self.model, train, self.values), train.targets.numbers, len(labels))
        self.values |= {WEIGHT: fitted.weights.astype(np.float32), BIAS: fitted.bias.astype(np.float32)}
        self.model.load_state(self.values)
        return fitted

    def _save(self, fitted: Fitted, test: Score | None) -> None:
        """Record what was computed and measured, and save the model."""
        paths = ([self.run.model] if self.run else []) + ([self.out] if self.out else [])
        self.writer.facts = {FEW_SHOT: fitted.to_data(), "held_out": len(fitted.left_out), "held_out_split": LEFT_OUT}
        self.writer.quantize(len(self.data.train), self.values)
        self.writer.save(paths, ModelState(1, self.values), self.history, "finished", test)


def few_shot_network(plan: TrainingPlan, task: Task) -> nn.Layer:
    """Return the network whose features a plan uses, marked with its weights."""
    if plan.network == THUMBNAILS:
        return Thumbnails()
    if plan.weights is None or plan.weights.task != IDENTITY:
        return starting_network(plan.network, task, plan.pretrained, plan.weights)
    network = zoo.find(plan.network)(plan.weights.outputs, task=IDENTITY)
    place_weights(network, replace(plan.weights, head=True))
    return network


def unit_features(model: Model, images: Samples, state: State) -> NDArray[np.float32]:
    """Return the vectors of length 1, N × features, that the last layer of a `FeatureClassifier` takes."""
    extractor = FeatureExtractor(penultimate_graph(model.graph), state, model.engine, model.threads)
    return np.concatenate([extractor(model.preprocessing.apply(chunk)) for chunk in chunks(images.pixels)])


def is_few_shot(model: Model) -> bool:
    """Return whether a model has been made of a few images of each class."""
    return FEW_SHOT in model.record


def left_out_images(model: Model, images: Samples) -> LeftOut:
    """Return the results on the images that a few-shot model was made of, each by a fit of the others."""
    vectors = np.asarray(unit_features(model, images, model.state), np.float64)
    return left_out(vectors, np.asarray(model.label_indices(images), np.intp), len(model.labels))


def _score(task: Classification, results: LeftOut) -> Score | None:
    """Return the score on images left out; None if there are none."""
    return task.evaluate([results.reduced], None).score if len(results) else None
