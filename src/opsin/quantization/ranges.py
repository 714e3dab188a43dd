"""The ranges of a network's results, and where they come from: observation on images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import Program
from opsin.base.errors import DataError
from opsin.ir import Graph, Tensor
from opsin.quantization.scales import Scale
from opsin.quantization.steps import Array, Product

MAX_BATCH = 16
BATCH_ELEMENTS = 2**23
"""The maximum number of observed values of a batch of images."""
SAMPLE = 2**16
"""The number of values of a tensor in a batch that its histogram counts."""
BINS = 2048

Engine = Callable[[Graph, int, int | None], Program]


@dataclass
class Ranges:
    """What quantization must know of a network's results.

    `bounds` are the least and the greatest number of a tensor that its 8-bit integers stand for; `means` those of each
    channel, by which biases are corrected. With `factors`, the integers stand for the numbers times a factor for each
    channel: for results that only a function by channel reads, so that each channel fills its range. `steps` are those
    of weights for each output channel, by the result, if training simulated them; otherwise they follow from the
    weights. `farther` has a bit for each weight, eight to a number, by the result: whether it is rounded to the farther
    neighbour. The tensors in `wide` have 16 bits where products read them.
    """

    bounds: dict[Tensor, tuple[float, float]] = field(default_factory=dict)
    means: dict[Tensor, Array] = field(default_factory=dict)
    factors: dict[Tensor, Array] = field(default_factory=dict)
    steps: dict[Tensor, Array] = field(default_factory=dict)
    farther: dict[Tensor, NDArray[np.uint8]] = field(default_factory=dict)
    wide: set[Tensor] = field(default_factory=set)

    def scale(self, tensor: Tensor) -> Scale:
        """Return the scale of a tensor."""
        return Scale.of(*self.bounds[tensor])

    def stored(self, step: Product) -> Product:
        """Return a product whose results are the numbers that integers stand for."""
        factors = self.factors.get(step.output)
        return step if factors is None else step.scaled(factors, np.zeros_like(factors))


@dataclass
class Statistics:
    """Least and greatest number of each channel, their means, and a histogram of all numbers."""

    least: Array
    greatest: Array
    mean: Array
    counts: NDArray[np.int64]


def statistics(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    tensors: Sequence[Tensor],
    images: NDArray[np.float32],
    engine: Engine,
    threads: int | None = None,
    scaled: Sequence[Tensor] = (),
) -> dict[Tensor, Statistics]:
    """Return the statistics of `tensors` for normalized images N × C × H × W.

    The images are run twice: for the bounds, and for histograms between them; those of tensors in `scaled` are of each
    channel divided by its largest absolute value. Raise `DataError` if there are no images, or if a result is not
    finite.
    """
    if not len(images):
        raise DataError("there are no images to observe the ranges of the network's results on; give some")
    observation = Observation(graph, state, tensors, images, engine, threads)
    found: dict[Tensor, Statistics] = {}
    for tensor, array in observation:
        axes = tuple(axis for axis in range(array.ndim) if axis != 1)
        part = array.min(axes), array.max(axes), array.mean(axes, np.float64)
        if not np.isfinite(part[2]).all():
            raise DataError(f"layer '{tensor.node.scope}' gives NaN or infinity for these images; check the network")
        if tensor in found:
            known = found[tensor]
            np.minimum(known.least, part[0], out=known.least)
            np.maximum(known.greatest, part[1], out=known.greatest)
            known.mean += part[2]
        else:
            least, greatest, mean = (np.asarray(values, np.float64) for values in part)
            found[tensor] = Statistics(least, greatest, mean, np.zeros(BINS, np.int64))
    for tensor, array in observation:
        known = found[tensor]
        sample: NDArray[Any] = array
        if tensor in scaled:
            sample = array / largest(known).reshape(-1, *[1] * (array.ndim - 2))
        low, high = bounds(known, tensor in scaled)
        stride = max(1, sample.size // SAMPLE) | 1
        place = (sample.reshape(-1)[::stride] - low) * (BINS / max(high - low, 1e-30))
        known.counts += np.bincount(np.clip(place, 0, BINS - 1).astype(np.intp), minlength=BINS)
    for known in found.values():
        known.mean /= observation.batches
    return found


def largest(known: Statistics) -> Array:
    """Return the largest absolute value of each channel."""
    return np.maximum(np.maximum(np.abs(known.least), np.abs(known.greatest)), 1e-6)


def bounds(known: Statistics, scaled: bool) -> tuple[float, float]:
    """Return the bounds of all channels, each divided by its largest absolute value if `scaled`."""
    divisor = largest(known) if scaled else np.ones(1)
    return float((known.least / divisor).min()), float((known.greatest / divisor).max())


class Observation:
    """The values of tensors for images, batch by batch; it can be repeated."""

    def __init__(
        self, graph: Graph, state: Mapping[str, NDArray[Any]], tensors: Sequence[Tensor], images: NDArray[np.float32],
        engine: Engine, threads: int | None,
    ) -> None:  # fmt: skip
        self.images, self.names = images, {f"t{number}": t for number, t in enumerate(tensors)}
        observed = Graph(graph.inputs, dict(self.names))
        elements = sum(int(np.prod([int(str(size)) for size in t.shape[1:]])) for t in tensors)
        self.batch = max(1, min(MAX_BATCH, len(images), BATCH_ELEMENTS // max(1, elements)))
        self.batches = len(images) // self.batch
        self.program = engine(observed, self.batch, threads)
        self.program.load_state({name: state[name] for name in observed.variables})

    def __iter__(self) -> Iterator[tuple[Tensor, NDArray[np.float32]]]:
        """Yield each tensor with its values for some images; what is too few to fill the last batch is left out."""
        for first in range(0, self.batches * self.batch, self.batch):
            outputs = self.program.run(inputs=self.images[first : first + self.batch])
            yield from ((tensor, outputs[name]) for name, tensor in self.names.items())
