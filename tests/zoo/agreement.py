"""How far networks of the zoo differ from the same networks in other libraries, by recorded fixtures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from opsin import nn, ops, zoo
from opsin.backends.base import Program
from opsin.ir import Graph, Tensor, input_tensor
from tests.support import Array, relative_error
from tests.zoo import seeding
from tests.zoo.steps import step_graph

FILES = [Path(__file__).parent / f"fixtures/{library}.npz" for library in ("torchvision", "timm", "segmentation")]
FOUND: dict[str, Array] = {key: values for file in FILES for key, values in np.load(file).items()}
NETWORKS = sorted({key.split("/")[0] for key in FOUND})
COMPUTED = [name for name in NETWORKS if f"{name}/logits" in FOUND]
STEPPED = [name for name in NETWORKS if f"{name}/sums" in FOUND]

BATCH, *SIZES = seeding.IMAGES
SHAPE = (SIZES[0], SIZES[1], SIZES[2])

Engine = Callable[[Graph], Program]
"""Makes a graph ready for `BATCH` images."""


@cache
def variables(name: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the other library's parameters and running statistics, by name."""
    shapes = json.loads(FOUND[f"{name}/variables"].tobytes())
    return {key: tuple(shape) for key, shape in shapes.items()}


def steady(name: str) -> nn.Layer:
    """The network, with nothing left to chance in training."""
    network = zoo.create(name)
    for layer in nn.named_layers(network).values():
        if isinstance(layer, nn.Dropout | nn.StochasticDepth):
            layer.p = 0.0
    return network


def with_gradient(graph: Graph) -> Graph:
    """`graph` with the gradient of Σ coefficients · logits by the images as one more output."""
    ((images,), logits) = graph.inputs, graph.outputs["logits"]
    coefficients = input_tensor("coefficients", logits.shape)
    (gradient,) = ops.gradients(ops.sum(ops.multiply(logits, coefficients)), [images])
    assert isinstance(gradient, Tensor)
    return Graph((images, coefficients), {"logits": logits, "gradient": gradient})


def evaluation(name: str, engine: Engine, gradient: bool = True) -> tuple[float, float]:
    """The largest difference of logits, as a share of their range, and of the gradient by the images, as a share of
    its norm (0 where it is not asked for).
    """
    graph = nn.trace(zoo.create(name), SHAPE)
    program = engine(with_gradient(graph) if gradient else graph)
    load(program, name)
    shape = (BATCH, *(size for size in graph.outputs["logits"].shape if isinstance(size, int)))
    inputs = {"coefficients": seeding.coefficients(shape)} if gradient else {}
    actual = program.run(inputs=seeding.images(), **inputs)
    of_logits = difference("logits", actual["logits"], FOUND[f"{name}/logits"])
    if not gradient:
        return of_logits, 0.0
    return of_logits, relative_error(seeding.sample("gradient", actual["gradient"]), FOUND[f"{name}/gradient"])


def difference(name: str, actual: Array, expected: Array) -> float:
    """The largest difference of logits, as a share of their range; those of segmentation are compared by a sample."""
    if actual.ndim == 2:
        return float(np.abs(actual - expected).max() / np.ptp(expected))
    sample, norm = seeding.sample(name, actual, seeding.PIXELS), expected[0]
    of_places = np.abs(sample[1:] - expected[1:]).max() / np.ptp(expected[1:])
    return float(max(of_places, abs(sample[0] - norm) / norm))


@dataclass(frozen=True)
class Step:
    """How far a step of SGD ends from the other library's: for each variable, the norm of the difference."""

    loss: float
    """The relative difference of the loss before the step."""
    of_variable: dict[str, float]
    """As a share of the variable's norm."""
    of_change: dict[str, float]
    """As a share of the norm of the variable's change in that step."""
    logits: float
    """The difference of the logits of segmentation in training mode, else 0."""


def step(name: str, engine: Engine) -> Step:
    entry = zoo.find(name)
    graph = step_graph(name, steady(name), SHAPE, nn.optimizers.SGD(weight_decay=seeding.WEIGHT_DECAY))
    program = engine(graph)
    before = load(program, name)
    dense = entry.task == "segmentation"
    labels = seeding.pixel_labels(entry.classes) if dense else seeding.labels(entry.classes)
    rate = seeding.PIXEL_LEARNING_RATE if dense else seeding.LEARNING_RATE
    results = program.run(inputs=seeding.noise(), labels=labels, learning_rate=rate)
    loss, training = float(FOUND[f"{name}/loss"]), FOUND.get(f"{name}/training")
    of_logits = 0.0 if training is None else difference("training", results["logits"], training)
    made = Step(abs(float(results["loss"]) - loss) / loss, {}, {}, of_logits)
    state = program.state()
    for key, norm, expected in zip(variables(name), FOUND[f"{name}/norms"], FOUND[f"{name}/sums"], strict=True):
        distance = rms(seeding.sums(state.pop(key)) - expected)
        made.of_variable[key] = distance / norm
        made.of_change[key] = distance / rms(expected - before[key])
    assert not state, f"variables that the other library has not: {sorted(state)}"
    return made


def load(program: Program, name: str) -> dict[str, Array]:
    """Gives `program` the seeded weights, one after the other for the sake of memory; their sums by name."""
    actual = {}
    for key, tensor in program.graph.variables.items():
        values = seeding.weight(name, key, tuple(size for size in tensor.shape if isinstance(size, int)))
        program.load_state({key: values})
        actual[key] = seeding.sums(values)
    return actual


def rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
