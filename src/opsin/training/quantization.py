"""The last stage of quantization-aware training: its step, and the ranges that the model keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from opsin import nn
from opsin.data import Dataset, Samples
from opsin.ir import Graph
from opsin.model import Model
from opsin.model.int8 import Quantization, compared_count, observed_count, quantization_of
from opsin.model.record import held_out
from opsin.nn.optimizers import Optimizer
from opsin.quantization.fake_quantization import simulated, simulated_ranges, simulation_state
from opsin.quantization.record import ranges_from_data, ranges_to_data
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.state import State

EPOCHS_SHARE = 0.1
RATE_SHARE = 0.01
"""Epochs and learning rate of the last stage, relative to those of the stage before: Wu et al., "Integer quantization
for deep learning inference: principles and empirical evaluation", 2020."""
WARMUP_FRACTION = 0.1
RECORDED_SHARE, MIN_RECORDED = 0.02, 100
"""Images for int8 as a share of those that the network was trained on, all epochs together, and the fewest."""
MAX_BATCH = 64
"""The largest batch after a stage that trained on features: its steps compute the whole network."""


def qat_stage(before: Stage) -> Stage:
    """Return the stage of quantization-aware training that follows a stage."""
    return replace(
        before, name="quantization", qat=True, epochs=max(1, round(EPOCHS_SHARE * before.epochs)),
        learning_rate=RATE_SHARE * before.learning_rate, schedule="cosine", warmup_fraction=WARMUP_FRACTION,
        batch=min(before.batch, MAX_BATCH) if before.features else before.batch, features=False, views=1, size=None,
    )  # fmt: skip


def with_qat(plan: TrainingPlan) -> TrainingPlan:
    """Return the plan with quantization-aware training at the end."""
    return replace(plan, stages=(*plan.stages, qat_stage(plan.stages[-1])))


def simulated_step(
    model: Model, data: Dataset, stage: Stage, optimizer: Optimizer, loss: nn.Objective, initial: State
) -> tuple[Graph, State]:
    """Return a training step of `model` in simulated 8-bit integers, and the values of its steps and ranges.

    The stage begins with the network's variables `initial`, and ranges are observed on training images with these.
    Dropout is off, and batch normalization has fixed statistics, but learns its factors and offsets.
    """
    model.load_state(initial)
    images, _ = images_for_int8(model, data)
    ranges = ranges_from_data(quantization_of(model, images.pixels, adapt=False).ranges, model.graph)
    network = simulated(model.graph, model.state, stage.frozen)
    return nn.training_step(network, optimizer, loss), simulation_state(model.graph, model.state, ranges)


def simulated_record(model: Model, data: Dataset, values: State) -> Quantization | None:
    """Return what a program with these `values` simulated, for `model`; None if it did not round."""
    ranges = simulated_ranges(model.graph, model.state, values)
    if ranges is None:
        return None
    return Quantization(ranges_to_data(ranges, model.graph), observed_count(model.graph, len(data.train)))


def recorded_count(trained: int) -> int:
    """Return how many images the record for int8 takes at most, after training on `trained` images."""
    return max(MIN_RECORDED, int(RECORDED_SHARE * trained))


def recorded_images(network: Graph, trained: int, train: int, measured: int) -> tuple[int, int]:
    """Return how many of `train` and `measured` images the record for int8 observes and compares."""
    most = recorded_count(trained)
    return observed_count(network, min(train, most)), compared_count(network, min(measured, most))


def images_for_int8(model: Model, data: Dataset) -> Iterator[Samples]:
    """Yield training images and held-out ones, with the frames that the network compares."""
    for images in (data.train, held_out(data)):
        yield images.stacked(model.preprocessing.frames)
