"""Smaller images and networks that would fit a microcontroller, by the figures of `nn.describe`."""

from __future__ import annotations

from math import prod

from opsin import nn
from opsin.base.errors import OpsinError
from opsin.export.c.limits import Limits
from opsin.ir import Graph
from opsin.model import Model
from opsin.nn.describe import NUMBER_BYTES
from opsin.zoo import registry

SHARES = (7 / 8, 3 / 4, 5 / 8, 1 / 2, 3 / 8, 1 / 4)
"""Sides of smaller images, as shares of the present side."""
MAX_NETWORKS = 3
MAX_PARAMETERS = 20_000_000
"""Networks with more are not for microcontrollers."""


def smaller_images(model: Model, needs: tuple[int, int], limits: Limits) -> int | None:
    """Return the largest side of square images for which the model's network would fit; None if there is none.

    `needs` are its bytes of RAM and flash now; they are assumed to change as the figures do.
    """
    channels, height, width = model.preprocessing.shape
    graph = _traced(model.network, model, (channels, height, width))
    if graph is None:
        return None
    present = nn.describe(graph)
    for share in SHARES:
        side = int(share * min(height, width)) // 8 * 8
        graph = _traced(model.network, model, (channels, side, side)) if side else None
        if graph is None:
            continue
        smaller = nn.describe(graph)
        memory = needs[0] * smaller.inference_memory // present.inference_memory
        if limits.allow(memory, needs[1] * smaller.parameters // max(1, present.parameters)):
            return side
    return None


def smaller_networks(model: Model, number_bytes: int, limits: Limits) -> list[str]:
    """Return networks of the zoo that would fit with images of the same size, those with the most MACs first.

    Their numbers have `number_bytes`.
    """
    fitting: list[tuple[int, str]] = []
    for name in (name for name in registry.names() if registry.find(name).task == model.task.name):
        graph = _traced(name, model, model.preprocessing.shape) if name != model.network else None
        parameters = _parameters(graph) if graph else 0
        if graph is None or not limits.allow(0, number_bytes * parameters) or parameters > MAX_PARAMETERS:
            continue
        found = nn.describe(graph)
        if limits.allow(number_bytes * found.inference_memory // NUMBER_BYTES, number_bytes * parameters):
            fitting.append((found.macs, name))
    return [name for _, name in sorted(fitting, reverse=True)[:MAX_NETWORKS]]


def _parameters(graph: Graph) -> int:
    return sum(prod(int(str(size)) for size in variable.shape) for variable in graph.parameters.values())


def _traced(name: str, model: Model, shape: tuple[int, int, int]) -> Graph | None:
    """Return a network of the zoo for images of a shape; None if it does not take them."""
    try:
        return nn.trace(registry.create(name, len(model.labels)), shape)
    except OpsinError:
        return None
