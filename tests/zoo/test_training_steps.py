"""One training step of a network of each family, including its randomness, on both backends."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from opsin.zoo.unet import UNet
from tests.support import Array, generator
from tests.zoo.steps import drawn_labels, step_graph

BATCH = 4
CLASSES = 5
MAX_PARAMETERS = 20e6
"""Larger networks are left out: the reference backend would take minutes and gigabytes."""

MIN_SHARE = 5
"""Images are at least this fraction of the size that a network was made for, so that batch normalization at its end
has something to average."""


OTHERS = ("googlenet_2014",)
"""Networks of layers that the smallest of their family lacks."""


def family(entry: zoo.Entry) -> str:
    """Return the class or function of the zoo that defines a network."""
    constructor = entry.constructor
    function = constructor.func if isinstance(constructor, partial) else constructor
    return f"{function.__module__}.{function.__qualname__}"


def parameters(name: str) -> int:
    graph = nn.trace(slim(name), zoo.find(name).input_shape)
    return sum(prod(size for size in tensor.shape if isinstance(size, int)) for tensor in graph.parameters.values())


def slim(name: str) -> nn.Layer:
    """Return the network, with fewer channels if it is the only one of its family and too large."""
    return UNet(CLASSES, width=8) if name == "unet" else zoo.create(name, CLASSES)


def candidates() -> list[str]:
    """Return the networks with one output; steps of detectors are tested with their losses."""
    return [name for name in zoo.names() if zoo.find(name).task != "detection"]


def smallest_of_each_family() -> list[str]:
    names: dict[str, str] = {}
    for name in sorted(candidates(), key=parameters):
        names.setdefault(family(zoo.find(name)), name)
    return sorted({*OTHERS, *(name for name in names.values() if parameters(name) <= MAX_PARAMETERS)})


NAMES = smallest_of_each_family()


DIVISORS = {"unet": 16}
"""Networks that take only images whose sides are divisible by this number."""


def training_shape(name: str) -> nn.ImageShape:
    """Return the smallest inputs that the network can be trained on.

    The sides of images differ by one, or what they must. Bands of sounds and frames of clips are as many as always.
    """
    entry, multiple = zoo.find(name), DIVISORS.get(name, 1)
    channels, rows, columns = entry.input_shape
    for reduced in range(MIN_SHARE, 0, -1):
        width = -(-columns // reduced // multiple) * multiple
        height = {"image": -(-rows // reduced // multiple) * multiple + multiple, "video": rows // columns * width}
        shape = (channels, height.get(entry.kind, rows), width)
        try:
            nn.trace(zoo.create(name, CLASSES), shape, training=True)
        except ShapeError:
            continue
        return shape
    raise AssertionError(f"{name} takes no images of {rows} × {columns}")


def test_every_family_of_small_networks_takes_a_step() -> None:
    left_out = {family(zoo.find(name)) for name in candidates()} - {family(zoo.find(name)) for name in NAMES}
    assert {name.split(".")[2] for name in left_out} == {"alexnet", "fcn", "vgg"}


@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_matches_the_reference(name: str) -> None:
    shape = training_shape(name)
    graph = step_graph(name, slim(name), shape, nn.optimizers.SGD())
    state, rng = nn.initial_state(graph, 2), generator("training", name)
    images = (rng.normal(size=(BATCH, *shape)) + rng.normal(size=(BATCH, 1, 1, 1))).astype(np.float32)
    expected_loss, expected = step(Reference(graph, BATCH, np.float64), state, images)
    loss, new_state = step(compile_native(graph, BATCH, threads=1), state, images)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for key in graph.updates:
        change = norm(expected[key] - state[key])  # none of a scale that the next normalization takes away
        assert change <= 1e-6 * norm(state[key]) or not np.array_equal(new_state[key], state[key]), key
        # If rounding decides whether a ReLU passes a number on, all gradients before it differ a little.
        allowed = 0.1 * norm(expected[key] - state[key]) + 1e-5 * (1 + norm(expected[key]))
        assert norm(new_state[key] - expected[key]) <= allowed, key


def step(program: Program, state: dict[str, Array], images: Array) -> tuple[float, dict[str, Array]]:
    """Return the loss, with dropout and skipped blocks, and all variables after the step."""
    program.load_state(state)
    labels = drawn_labels(program.graph, BATCH, CLASSES)
    loss = program.run(inputs=images, labels=labels, learning_rate=1e-2)["loss"]
    return float(loss), program.state()


def norm(values: Array) -> float:
    return float(np.linalg.norm(values))
