"""A network of 32 × 32 colour images with drawn numbers, run by the reference engine in float64."""

from __future__ import annotations

import numpy as np

from opsin import nn
from opsin.backends.reference import Reference
from tests.support import Array, generator


def drawn_run(network: nn.Layer, name: str) -> tuple[dict[str, Array], Array, Array]:
    """Parameters and statistics, two images, and their logits; all follow from `name`."""
    graph, rng = nn.trace(network, (3, 32, 32)), generator(name)
    state = {key: drawn(rng, value) for key, value in nn.initial_state(graph, 1).items()}
    x = rng.normal(size=(2, 3, 32, 32))
    program = Reference(graph, 2, np.float64)
    program.load_state(state)
    return state, x, program.run(inputs=x)["logits"]


def drawn(rng: np.random.Generator, value: Array) -> Array:
    """The first value of a weight, and anything but 0 and 1 for the rest."""
    return value.astype(np.float64) if value.ndim > 1 else rng.uniform(0.5, 1.5, value.shape)
