"""The steps of single numbers: their terms, sums and words."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.base.errors import UsageError
from opsin.data import Preprocessing
from opsin.explain.arithmetic.steps import StepValue, steps_of
from opsin.explain.observer import Observer
from opsin.explain.stages import Stage, Step, find_stages
from opsin.ir import Graph, initial_state
from opsin.model import Model
from opsin.zoo import registry


def observer_of(network: nn.Layer, shape: tuple[int, int, int]) -> tuple[Observer, list[Stage]]:
    graph = nn.trace(network, shape)
    state = initial_state(graph, seed=4)
    model = Model("test", graph, state, Preprocessing(), ["a"] * 10, nn.layer_kinds(network))
    return Observer(model), find_stages(graph, model.layers)
