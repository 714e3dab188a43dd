"""From a stage of a plan to what runs it: the compiled step, its batches, its learning rates, its measure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from math import ceil
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.backends.base import Program
from opsin.data import Batches, Dataset, LabeledImages, Preprocessing, augment
from opsin.ir import Graph
from opsin.model import Engine, Evaluation, Model
from opsin.model.pretrained import initial_state, preprocessing_of
from opsin.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from opsin.nn.schedules import Schedule, constant, cosine, one_cycle, warm_up
from opsin.nn.schedules import step as step_schedule
from opsin.training.class_balance import smoothing_spread
from opsin.training.deadline import planned_step
from opsin.training.events import Score
from opsin.training.features import FeatureCache, FeatureExtractor, FeatureScore
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.state import State, TrainerState

WATCH = 50
"""Steps between two looks at every parameter; from the last of them training can go on."""

FEW_STEPS = 8
"""Stages of fewer steps take the learning rates in the middle of each step."""

ENOUGH = 2**22
"""Pixels by which the values that follow from images are computed: millions for some dozens of values."""

Batch = tuple[NDArray[Any], NDArray[Any]]
"""What a step takes as "inputs" and "labels"."""


class Feed(Protocol):
    """Where a stage's batches come from."""

    def __len__(self) -> int:
        """The number of batches in an epoch."""

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, from batch `start` on: the same ones, whatever was asked for before."""


@dataclass(frozen=True, eq=False)
class StageRuntime:
    """A stage ready to run. `network` makes the network's state of the program's; `score` measures such a state on the
    held-out images; `outside` is what of the network's state the program does not hold; `chosen` are the numbers of
    the images in a step (from 0) of an epoch.
    """

    stage: Stage
    program: Program
    feed: Feed
    rate: Schedule
    network: Callable[[State], dict[str, NDArray[Any]]]
    score: Callable[[State], Score]
    chosen: Callable[[int, int], NDArray[np.intp]]
    outside: State
    compiling: float

    def rate_of(self, memory: TrainerState, step: int) -> float:
        """The learning rate of step `step` (from 0) of the memory's epoch."""
        steps = len(self.feed)
        number = planned_step(memory.epoch * steps + step, steps, self.stage.epochs, memory.cuts)
        return self.rate(number) * memory.factor

    def inputs(self, number: int, memory: TrainerState) -> Iterator[Mapping[str, Any]]:
        """What the program is given from `memory` on, to the end of its epoch, which is the run's `number`th."""
        with epoch_of(self.feed, number, memory.step) as batches:
            for step, (images, labels) in enumerate(batches, start=memory.step):
                yield {"inputs": images, "labels": labels, "learning_rate": self.rate_of(memory, step)}


@dataclass(frozen=True, eq=False)
class TrainingContext:
    """What all stages of a run share."""

    plan: TrainingPlan
    data: Dataset
    layer: nn.Layer
    model: Model
    engine: Engine
    threads: int | None


def prepare(setting: TrainingContext, stage: Stage, state: State) -> StageRuntime:
    """Compiles `stage`, which begins with the network's `state`."""
    plan, data, model = setting.plan, setting.data, setting.model
    seen = seen_by(stage, model.preprocessing)
    augmentation = augment.policy_for(stage.augment, data.train, seen, stage.flip)
    batch = min(stage.batch, len(data.train))
    begin = perf_counter()
    trunk, graph = _step(setting, stage, seen.shape, augmentation.mixes)
    program = setting.engine(graph, batch, setting.threads)
    program.load_state(_beginning(graph, plan.seed, state))
    batches = Batches(data.train, seen, batch, plan.seed, augmentation, stage.images)
    feed: Feed = batches
    measure: Callable[[State], Evaluation] | None = None
    if trunk:
        before = sum(earlier.epochs for earlier in takewhile(lambda other: other is not stage, plan.stages))
        feed = FeatureCache(
            FeatureExtractor(trunk, state, setting.engine, setting.threads), batches, stage.views, before
        )
        whole = nn.trace(setting.layer, data.shape, frozen=stage.frozen)
        measure = FeatureScore(whole, model, held_out(data), state)
    compiling = perf_counter() - begin
    outside = {name: value for name, value in state.items() if name not in graph.variables}

    def network(values: State) -> dict[str, NDArray[Any]]:
        now = nn.averaged(values)
        return {name: now.get(name, state[name]) for name in state}

    def score(values: State) -> Score:
        model.load_state(values)
        return Score.of(measure(values) if measure else model.evaluate(held_out(data)))

    def chosen(epoch: int, step: int) -> NDArray[np.intp]:
        if isinstance(feed, FeatureCache):
            return feed.images(epoch, step)
        return batches.order(epoch)[step * batch : (step + 1) * batch]

    rate = schedule_of(stage, stage.epochs * len(feed))
    return StageRuntime(stage, program, feed, rate, network, score, chosen, outside, compiling)


def seen_by(stage: Stage, preprocessing: Preprocessing) -> Preprocessing:
    """How images come to the stage: as to the model, in the size of the stage. Stored images are cropped already."""
    if stage.size is None:
        return preprocessing
    return replace(preprocessing, height=stage.size, width=stage.size, crop=None)


def _step(
    setting: TrainingContext, stage: Stage, shape: tuple[int, int, int], soft: bool
) -> tuple[Graph | None, Graph]:
    """The step of a stage for images of `shape`; where it learns from features, before it what gives them."""
    plan, layer = setting.plan, setting.layer
    optimizer, loss = optimizer_of(plan, layer), loss_of(plan, soft)
    if stage.features:
        return nn.features_graphs(layer, shape, optimizer, loss, ema=plan.ema, soft=soft, frozen=stage.frozen)
    return None, nn.training_graph(layer, shape, optimizer, loss, ema=plan.ema, soft=soft, frozen=stage.frozen)


@contextmanager
def epoch_of(feed: Feed, number: int, start: int) -> Iterator[Iterator[Batch]]:
    """The batches of an epoch; whatever prepares them stops at the end."""
    batches = feed.epoch(number, start)
    try:
        yield batches
    finally:
        if isinstance(batches, Generator):
            batches.close()


def preparation(plan: TrainingPlan, data: Dataset) -> Preprocessing:
    """How images come to the network: as its published weights want them, or by the statistics of `data`."""
    made = preprocessing_of(plan.network, max(data.shape[1:])) if plan.pretrained else Preprocessing.of(data.train)
    return replace(made, pixel_range=data.pixel_range)


def first_state(layer: nn.Layer, graph: Graph, plan: TrainingPlan, data: Dataset) -> dict[str, NDArray[Any]]:
    """How the network of a run begins: every variable of its inference `graph`; some follow from the images."""
    state = initial_state(layer, graph, plan.seed)
    return state if plan.pretrained else state | nn.fit_whitening(layer, partial(_sample, plan, data))


def _sample(plan: TrainingPlan, data: Dataset) -> NDArray[np.float32]:
    """Some of the training images, as the network sees them."""
    _, height, width = data.shape
    count = min(len(data.train), max(1, ENOUGH // (height * width)))
    chosen = np.linspace(0, len(data.train) - 1, count).astype(np.intp)
    return preparation(plan, data).apply(data.train.pixels[chosen])


def held_out(data: Dataset) -> LabeledImages:
    """The images by which a run measures itself: the validation part, or the test part where there is no other."""
    return data.validation if data.validation is not None else data.require_test()


def loss_of(plan: TrainingPlan, soft: bool) -> nn.Loss:
    """Cross-entropy as the plan wants it, of labels or, where they are `soft`, of shares of classes."""
    entropy = nn.losses.soft_cross_entropy if soft else nn.losses.cross_entropy
    spread = smoothing_spread(plan.class_weights, plan.logit_adjustment)
    loss = partial(entropy, smoothing=plan.smoothing, class_weights=plan.class_weights, spread=spread)
    offsets = plan.logit_adjustment
    if offsets is None:
        return loss
    return lambda logits, labels: loss(nn.losses.adjusted(logits, offsets), labels)


def optimizer_of(plan: TrainingPlan, layer: nn.Layer) -> Optimizer:
    """The plan's optimizer for the network `layer`."""
    decay, clip = plan.weight_decay, plan.clip_norm
    if plan.optimizer in ("gd", "sgd"):
        return SGD(
            momentum=plan.momentum, nesterov=plan.nesterov, weight_decay=decay, clip_norm=clip,
            rates=rates_of(plan, layer),
        )  # fmt: skip
    if plan.optimizer == "rmsprop":
        return RMSprop(momentum=plan.momentum, weight_decay=decay, clip_norm=clip)
    adaptive: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "adagrad": Adagrad}
    return adaptive[plan.optimizer](weight_decay=decay, clip_norm=clip)


def rates_of(plan: TrainingPlan, layer: nn.Layer) -> dict[str, float]:
    """Factors of the learning rate, by the names of parameters that have one of their own."""
    if plan.shift_rate == 1:
        return {}
    norms = (path for path, each in nn.named_layers(layer).items() if isinstance(each, nn.BatchNorm2d))
    return {f"{path}.bias": plan.shift_rate for path in norms}


def schedule_of(stage: Stage, steps: int) -> Schedule:
    """The learning rates of a stage of so many steps.

    A stage of very few steps takes the rates in the middle of each: at its beginning the first would be next to
    nothing, and the last one is at the schedule's end. A single step takes the peak.
    """
    if steps == 1:
        return constant(stage.learning_rate)
    if steps < FEW_STEPS:
        fine = schedule_of(stage, steps * FEW_STEPS)
        return lambda now: fine(min(now, steps - 1) * FEW_STEPS + FEW_STEPS // 2)
    rise = round(stage.rise * steps)
    if stage.schedule == "one_cycle":
        return one_cycle(stage.learning_rate, steps, stage.rise)
    if stage.schedule == "cosine":
        return warm_up(cosine(stage.learning_rate, max(1, steps - rise)), rise)
    after = constant(stage.learning_rate)
    if stage.schedule == "step":
        after = step_schedule(stage.learning_rate, max(1, ceil((steps - rise) / 3)))
    return warm_up(after, rise)


def names_of(data: Dataset, chosen: NDArray[np.intp]) -> list[str]:
    """The names of these images of the training part; their numbers where they have none."""
    names = data.train.names
    return [names[number] if names else f"image {number}" for number in chosen]


def _beginning(graph: Graph, seed: int, state: State) -> dict[str, NDArray[Any]]:
    """The first values of a step's variables: the network's, and what the optimizer begins with."""
    return nn.initial_state(graph, seed) | {name: state[name] for name in graph.variables if name in state}
