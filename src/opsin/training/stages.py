"""The runtime of a stage: the compiled step, its batches, its learning rates and its evaluation."""

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
from opsin.base.errors import UsageError
from opsin.base.spread import spread
from opsin.data import Batches, Dataset, Preprocessing, augment
from opsin.ir import Graph
from opsin.model import Engine, Model
from opsin.model.pretrained import initial_state, preprocessing_of
from opsin.model.record import held_out
from opsin.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from opsin.nn.schedules import Schedule, constant, cosine, one_cycle, warm_up
from opsin.nn.schedules import step as step_schedule
from opsin.tasks.registry import is_annotated
from opsin.tasks.score import Score
from opsin.tasks.task import Evaluation, LossOptions, Task
from opsin.tasks.views import ViewTask, views_of
from opsin.training.features import FeatureCache, FeatureExtractor, FeatureScore
from opsin.training.messages import collapsed
from opsin.training.non_finite import Collapsed
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.quantization import simulated_step
from opsin.training.state import State, TrainerState
from opsin.training.tap_cache import TapCache
from opsin.training.truncation import schedule_position

MIN_SCHEDULE_STEPS = 8
"""Stages of fewer steps take the learning rates in the middle of each step."""

MAX_COMPARED = 2000
"""Held-out images, and views of them, whose features are compared after each epoch."""

MAX_SAMPLE_PIXELS = 2**22
"""Pixels sampled to fit data-dependent weights such as whitening: millions for some dozens of values."""

Batch = tuple[NDArray[Any], Mapping[str, NDArray[Any]]]
"""The input "inputs" of a step, and its target arrays by name."""


class Feed(Protocol):
    """The source of a stage's batches."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of epoch `number`, from batch `start` on. They depend on nothing else."""


@dataclass(frozen=True, eq=False)
class StageRuntime:
    """A stage ready to run.

    A step takes `batch` images, perhaps several views of each. `network_values` takes the network's variables from the
    program's; `score` measures such values on the held-out images; `outside` are the network's variables that the
    program does not hold; `image_numbers` gives the numbers of the images in a step (from 0) of an epoch of the run
    (from 1).
    """

    stage: Stage
    batch: int
    program: Program
    feed: Feed
    schedule: Schedule
    network_values: Callable[[State], dict[str, NDArray[Any]]]
    score: Callable[[State], Score]
    image_numbers: Callable[[int, int], NDArray[np.intp]]
    outside: State
    compile_seconds: float

    def learning_rate(self, state: TrainerState, step: int) -> float:
        """Return the learning rate of step `step` (from 0) of the state's epoch."""
        steps = len(self.feed)
        position = schedule_position(state.epoch * steps + step, steps, self.stage.epochs, state.truncations)
        return self.schedule(position) * state.lr_scale

    def inputs(self, epoch: int, state: TrainerState) -> Iterator[Mapping[str, Any]]:
        """Yield the program's inputs from `state` to the end of its epoch, which is the run's epoch number `epoch`."""
        with epoch_batches(self.feed, epoch, state.step) as batches:
            for step, (images, targets) in enumerate(batches, start=state.step):
                yield {"inputs": images, **targets, "learning_rate": self.learning_rate(state, step)}


@dataclass(frozen=True, eq=False)
class TrainingContext:
    """The data that all stages of a run share. The model's own `engine` evaluates; this one trains."""

    plan: TrainingPlan
    data: Dataset
    layer: nn.Layer
    model: Model
    engine: Engine
    threads: int | None


def prepare(context: TrainingContext, stage: Stage, initial: State) -> StageRuntime:
    """Compile `stage`, which begins with the network's variables `initial`."""
    plan, data, model = context.plan, context.data, context.model
    preprocessing = stage_preprocessing(stage, model.preprocessing)
    views = views_of(data.task, plan.loss)
    augmentation = augment.policy_for(stage.augment, data.train, preprocessing, stage.flip, views)
    batch = min(stage.batch, len(data.train))
    begin = perf_counter()
    shape = preprocessing.input_shape
    extractor_graph, graph, ranges = _step_graphs(context, stage, shape, augmentation.mixes, initial)
    program = (model.engine if stage.qat else context.engine)(graph, batch, context.threads)
    program.load_state(_initial_program_values(graph, plan.seed, initial) | dict(ranges))
    batches = Batches(data.train, preprocessing, batch, plan.seed, augmentation, stage.images, views.count)
    feed: Feed = batches
    evaluate: Callable[[State], Evaluation] | None = None
    if extractor_graph and is_annotated(data.task):
        feed = _tap_cache(context, stage, extractor_graph, batches, initial)
    elif extractor_graph:
        earlier_epochs = sum(previous.epochs for previous in takewhile(lambda other: other is not stage, plan.stages))
        extractor = FeatureExtractor(extractor_graph, initial, context.engine, context.threads)
        feed = FeatureCache(extractor, batches, stage.views, earlier_epochs)
        network_graph = nn.trace(context.layer, data.shape, frozen=stage.frozen)
        evaluate = FeatureScore(network_graph, model, held_out(data), initial)
    compile_seconds = perf_counter() - begin
    compared = held_out(data)
    if isinstance(data.task, ViewTask):
        compared = compared.take(spread(len(compared), MAX_COMPARED))
    outside = {name: value for name, value in initial.items() if name not in graph.variables}

    def network_values(values: State) -> dict[str, NDArray[Any]]:
        averaged = nn.averaged(values)
        return {name: averaged.get(name, initial[name]) for name in initial}

    def score(values: State) -> Score:
        model.load_state(values)
        evaluation: Evaluation = evaluate(values) if evaluate else model.evaluate(compared)
        if problem := getattr(evaluation, "collapse", ""):
            raise Collapsed(collapsed(problem), None)
        return evaluation.score

    def image_numbers(epoch: int, step: int) -> NDArray[np.intp]:
        if isinstance(feed, FeatureCache):
            return feed.image_numbers(epoch, step)
        return batches.order(epoch)[step * batch : (step + 1) * batch]

    schedule = schedule_of(stage, stage.epochs * len(feed))
    return StageRuntime(
        stage, batch, program, feed, schedule, network_values, score, image_numbers, outside, compile_seconds
    )


def stage_preprocessing(stage: Stage, preprocessing: Preprocessing) -> Preprocessing:
    """Return the model's preprocessing in the size of the stage. Stored images have been cropped already."""
    if stage.size is None:
        return preprocessing
    return replace(preprocessing, height=stage.size, width=stage.size, crop=None)


def _step_graphs(
    context: TrainingContext, stage: Stage, shape: tuple[int, int, int], soft: bool, initial: State
) -> tuple[Graph | None, Graph, State]:
    """Return the graphs of feature extraction, if the stage uses features, and of its training step.

    `shape` is that of an image; with `soft` the targets are those of mixed images. The third result is the values of
    ranges for 8-bit integers, observed on a network with the variables `initial`, if the stage simulates these.
    """
    plan, layer = context.plan, context.layer
    task = context.data.task.for_network(plan.network, shape[1:])
    optimizer, loss = optimizer_of(plan, layer), loss_of(plan, task, soft)
    if stage.qat:
        return None, *simulated_step(context.model, context.data, stage, optimizer, loss, initial)
    if stage.features:
        graphs = nn.tapped_graphs if is_annotated(task) else nn.features_graphs
        return *graphs(layer, shape, optimizer, loss, ema=plan.ema, frozen=stage.frozen), {}
    views = views_of(task, plan.loss).count
    return None, nn.training_graph(layer, shape, optimizer, loss, ema=plan.ema, frozen=stage.frozen, views=views), {}


def _tap_cache(context: TrainingContext, stage: Stage, graph: Graph, batches: Batches, initial: State) -> TapCache:
    """Return the batches of features for a stage that begins with the network's variables `initial`."""
    if batches.augmentation != augment.Augmentation():
        raise UsageError(
            f"the stage '{stage.name}' computes the features of each image once, so that images cannot change at "
            "random; set augment='none' and flip=False, or leave features out"
        )
    extractor = context.engine(graph, batches.size, context.threads)
    extractor.load_state({name: initial[name] for name in graph.variables})
    return TapCache(extractor, batches)


@contextmanager
def epoch_batches(feed: Feed, number: int, start: int) -> Iterator[Iterator[Batch]]:
    """Give the batches of an epoch; at the end, stop what prepares them."""
    batches = feed.epoch(number, start)
    try:
        yield batches
    finally:
        if isinstance(batches, Generator):
            batches.close()


def preprocessing_for(plan: TrainingPlan, data: Dataset) -> Preprocessing:
    """Return the preprocessing of the weights that training begins with, or one by the statistics of `data`."""
    if data.input is not None:
        return Preprocessing.of(data.train)
    if plan.weights is not None:
        preprocessing = plan.weights.for_images(*data.train.single().shape).preprocessing
    elif plan.pretrained:
        preprocessing = preprocessing_of(plan.network, max(data.shape[1:]))
    else:
        preprocessing = Preprocessing.of(data.train)
    crop = data.train.framing or preprocessing.crop
    return replace(preprocessing, pixel_range=data.pixel_range, crop=crop)


def initial_values(layer: nn.Layer, graph: Graph, plan: TrainingPlan, data: Dataset) -> dict[str, NDArray[Any]]:
    """Return the first values of every variable of the network's inference `graph`; some depend on the images."""
    state = initial_state(layer, graph, plan.seed)
    return state if plan.is_transfer else state | nn.fit_whitening(layer, partial(_sample, plan, data))


def _sample(plan: TrainingPlan, data: Dataset) -> NDArray[np.float32]:
    """Return some of the training images, preprocessed."""
    _, height, width = data.shape
    count = min(len(data.train), max(1, MAX_SAMPLE_PIXELS // (height * width)))
    numbers = np.linspace(0, len(data.train) - 1, count).astype(np.intp)
    return preprocessing_for(plan, data).apply(data.train.pixels[numbers])


def loss_of(plan: TrainingPlan, task: Task, mixed: bool) -> nn.Objective:
    """Return the task's objective with the plan's options, for images that are `mixed` or not."""
    return task.objective(
        LossOptions(plan.label_smoothing, plan.class_weights, plan.logit_adjustment, plan.loss), mixed
    )


def optimizer_of(plan: TrainingPlan, layer: nn.Layer) -> Optimizer:
    """Return the plan's optimizer for the network `layer`."""
    decay, clip = plan.weight_decay, plan.clip_norm
    if plan.optimizer in ("gd", "sgd"):
        return SGD(
            momentum=plan.momentum, nesterov=plan.nesterov, weight_decay=decay, clip_norm=clip,
            lr_scales=lr_scales(plan, layer),
        )  # fmt: skip
    if plan.optimizer == "rmsprop":
        return RMSprop(momentum=plan.momentum, weight_decay=decay, clip_norm=clip)
    adaptive: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "adagrad": Adagrad}
    return adaptive[plan.optimizer](weight_decay=decay, clip_norm=clip)


def lr_scales(plan: TrainingPlan, layer: nn.Layer) -> dict[str, float]:
    """Return factors of the learning rate, by the names of the parameters that have one."""
    if plan.norm_bias_lr_scale == 1:
        return {}
    norms = (path for path, each in nn.named_layers(layer).items() if isinstance(each, nn.BatchNorm2d))
    return {f"{path}.bias": plan.norm_bias_lr_scale for path in norms}


def schedule_of(stage: Stage, steps: int) -> Schedule:
    """Return the learning rates of a stage of `steps` steps.

    A stage of very few steps takes the rates in the middle of each: at the beginning of the first step and at the end
    of the last one they are close to zero. A single step takes the peak.
    """
    if steps == 1:
        return constant(stage.learning_rate)
    if steps < MIN_SCHEDULE_STEPS:
        fine_schedule, half = schedule_of(stage, steps * MIN_SCHEDULE_STEPS), MIN_SCHEDULE_STEPS // 2
        return lambda step: fine_schedule(min(step, steps - 1) * MIN_SCHEDULE_STEPS + half)
    warmup_steps = round(stage.warmup_fraction * steps)
    if stage.schedule == "one_cycle":
        return one_cycle(stage.learning_rate, steps, stage.warmup_fraction)
    if stage.schedule == "cosine":
        return warm_up(cosine(stage.learning_rate, max(1, steps - warmup_steps)), warmup_steps)
    after = constant(stage.learning_rate)
    if stage.schedule == "step":
        after = step_schedule(stage.learning_rate, max(1, ceil((steps - warmup_steps) / 3)))
    return warm_up(after, warmup_steps)


def image_names(data: Dataset, numbers: NDArray[np.intp]) -> list[str]:
    """Return the names of images of the training split, or their numbers if they have no names."""
    names = data.train.names
    return [names[number] if names else f"image {number}" for number in numbers]


def _initial_program_values(graph: Graph, seed: int, state: State) -> dict[str, NDArray[Any]]:
    """Return the first values of a step's variables: the network's, and the optimizer's initial state."""
    return nn.initial_state(graph, seed) | {name: state[name] for name in graph.variables if name in state}
