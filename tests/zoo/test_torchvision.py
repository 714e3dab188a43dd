"""The networks against torchvision's and timm's, by what the tools that make fixtures wrote down.

All networks, and all of this on both engines, are compared by `bench/zoo_agreement.py`; here are those that differ in
more than a few numbers.
"""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import Native, compile
from opsin.backends.reference import Reference
from opsin.ir import Graph
from tests.zoo.agreement import (
    BATCH,
    COMPUTED,
    FILES,
    NETWORKS,
    SHAPE,
    STEPPED,
    evaluation,
    steady,
    step,
    variables,
)

ALIKE = {"vgg11", "vgg13", "vgg16", "vgg11_bn", "vgg13_bn", "vgg19_bn", "resnet101", "wide_resnet50_2"}
"""Networks that are longer or wider than others, which are compared."""
LARGE = {"alexnet", "vgg11_bn"}
"""Their linear layers have so many weights that a step in double precision takes gigabytes."""
DEEPER = {"vgg16_bn", "vgg19", "resnet34", "resnet50", "resnet152"}
"""Their operations are those of alexnet, resnet18 and resnext50_32x4d."""


def exact(graph: Graph) -> Reference:
    return Reference(graph, BATCH, np.float64)


def native(graph: Graph) -> Native:
    return compile(graph, BATCH, threads=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes(name: str) -> None:
    graph = nn.trace(steady(name), SHAPE, training=True)
    assert {key: tensor.shape for key, tensor in graph.variables.items()} == variables(name)
    statistics = ("running_mean", "running_var")
    assert set(graph.parameters) == {key for key in variables(name) if not key.endswith(statistics)}


@pytest.mark.parametrize("name", [name for name in COMPUTED if name not in ALIKE])
def test_logits_and_gradients_in_double_precision(name: str) -> None:
    assert max(evaluation(name, exact)) < 1e-9


@pytest.mark.parametrize("name", [name for name in COMPUTED if name not in ALIKE | DEEPER])
def test_logits_natively(name: str) -> None:
    of_logits, _ = evaluation(name, native, gradient=False)
    assert of_logits < 1e-3


@pytest.mark.parametrize("name", [name for name in STEPPED if name not in LARGE | {"resnext50_32x4d"}])
def test_a_step_in_double_precision(name: str) -> None:
    actual = step(name, exact)
    assert actual.loss < 1e-12
    assert actual.logits < 1e-9
    assert max(actual.of_variable.values()) < 1e-9
    assert max(actual.of_change.values()) < 1e-8


@pytest.mark.parametrize("name", [name for name in STEPPED if name not in DEEPER | {"resnext50_32x4d"}])
def test_a_step_natively(name: str) -> None:
    actual = step(name, native)
    assert actual.loss < 1e-4
    assert actual.logits < 1e-3
    assert max(actual.of_variable.values()) < 1e-4
    # Where rounding decides whether a ReLU lets a number through, a whole step changes, and so it does in PyTorch.
    assert np.median(list(actual.of_change.values())) < 0.03


def test_fixtures_are_small_and_complete() -> None:
    assert sum(file.stat().st_size for file in FILES) < 1_000_000
    assert len(NETWORKS) == 24 + 6 + 2
    assert set(NETWORKS) <= set(zoo.names())
    assert prod(variables("vgg16")["classifier.0.weight"]) == 102_760_448
