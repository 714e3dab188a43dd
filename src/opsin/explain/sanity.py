"""The sanity check: does a map depend on what the network has learned?

Adebayo, Gilmer, Muelly, Goodfellow, Hardt & Kim, "Sanity checks for saliency maps", NeurIPS 2018. The weights are
randomized layer by layer, from the answer back to the image. The maps of the randomized networks should differ from
that of the network; a method whose maps stay similar shows the image, not what the network has learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.formatting import decimal
from opsin.explain.explainer import Explainer
from opsin.ir import VARIABLE, Graph
from opsin.model import Model
from opsin.tasks.explained_score import ExplainedScore

Floats = NDArray[np.float64]
State = dict[str, NDArray[np.float32]]

MAX_CORRELATION = 0.3
"""The largest mean rank correlation with the maps of networks of random weights that raises no warning."""
CUTS = 3
"""Randomized networks: the last of so many parts of the layers, the last two, …, all."""
SEEDS = 3
"""Random networks of each kind; the small maps of last layers correlate by chance."""
POOL = 2**16
"""Values of a variable from which random weights are drawn: as many as a random 16-bit number can choose from."""
MIN_PLACES = 9
"""Places of a map that a check needs at least."""


@dataclass(frozen=True)
class SanityCheck:
    """The mean rank correlation (Spearman) of maps with those of networks in which the last layers are random.

    `shares` are those of the layers that are random; the last share is 1.
    """

    method: str
    shares: tuple[float, ...]
    correlations: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether the map changes enough if all layers are random."""
        return self.correlations[-1] <= MAX_CORRELATION

    def __str__(self) -> str:
        return self.sentence(self.method)

    def sentence(self, title: str) -> str:
        """Return what the check says of the method, which is called `title`."""
        correlation = decimal(self.correlations[-1], ".2f")
        value = f"the rank correlation of its map with those of random networks is {correlation}"
        if self.passed:
            return f"{title} passes the sanity check: {value}."
        return (
            f"{title} fails the sanity check: {value}, above {MAX_CORRELATION}. "
            "The map shows the image rather than what the network has learned."
        )


class RandomNetworks:
    """Networks like that of a model, whose last layers have random weights.

    They are run by `explainer`, which otherwise is a new one, and which has the model's weights again in the end.
    """

    def __init__(self, model: Model, explainer: Explainer | None = None) -> None:
        self.model = model
        self.explainer = Explainer(model, explainer.observer if explainer else None, checks_rounding=False)
        self.layers = layer_variables(model.graph)

    def check(
        self,
        pixels: NDArray[np.uint8],
        scores: Sequence[ExplainedScore],
        methods: Sequence[str],
        layer: str | None = None,
        on_progress: Callable[[str], None] = lambda text: None,
    ) -> dict[str, SanityCheck]:
        """Return the check of each method on images, uint8 N × C × H × W, and a score of each.

        Only places count of which some network's map has a value: around a box of a detector all maps are 0, which is
        no similarity. Images with fewer than `MIN_PLACES` are left out, and methods without other images. A network
        without weights has no check.
        """
        if not self.layers:
            return {}
        counts = sorted({-(-len(self.layers) * cut // CUTS) for cut in range(1, CUTS + 1)})
        networks: list[list[dict[str, list[Floats]]]] = [[] for _ in counts]
        try:
            original = self._maps(pixels, scores, methods, layer, self.model.state)
            for seed in range(SEEDS):
                on_progress(f"sanity check, random weights {seed + 1} of {SEEDS}")
                for kind, state in zip(networks, self._random_states(counts, seed), strict=True):
                    kind.append(self._maps(pixels, scores, methods, layer, state))
        finally:
            self.explainer.observer.load_state(self.model.state)
        shares = tuple(count / len(self.layers) for count in counts)
        correlations = {
            method: mean_correlations(original[method], [[maps[method] for maps in kind] for kind in networks])
            for method in methods
        }
        return {method: SanityCheck(method, shares, values) for method, values in correlations.items() if values}

    def _random_states(self, counts: Sequence[int], seed: int) -> Iterator[State]:
        """Yield the weights of networks with the last `counts` layers random; each keeps those of the one before."""
        state, first = self.model.state, len(self.layers)
        for count in counts:
            before, first = first, len(self.layers) - count
            state = randomized(state, self.layers[first:before], seed, first)
            yield state

    def _maps(
        self, pixels: NDArray[np.uint8], scores: Sequence[ExplainedScore], methods: Sequence[str],
        layer: str | None, state: State,
    ) -> dict[str, list[Floats]]:  # fmt: skip
        """Return raw maps of the network with the weights `state`."""
        self.explainer.observer.load_state(state)
        return self.explainer.raw_maps(pixels, scores, methods, layer)


def mean_correlations(original: Sequence[Floats], networks: Sequence[Sequence[Sequence[Floats]]]) -> tuple[float, ...]:
    """Return the mean rank correlation of the maps of N images with those of each kind of random network.

    `networks` holds, for each kind, the N maps of each of its networks. The result is empty if all images have too few
    places.
    """
    places = [
        np.any([maps[n] != 0 for kind in ([original], *networks) for maps in kind], axis=0)
        for n in range(len(original))
    ]
    images = [n for n, each in enumerate(places) if each.sum() >= MIN_PLACES]
    if not images:
        return ()
    return tuple(
        float(np.mean([rank_correlation(original[n][places[n]], maps[n][places[n]]) for maps in kind for n in images]))
        for kind in networks
    )


def layer_variables(graph: Graph) -> list[list[str]]:
    """Return the names of the variables of each layer with weights, in the order of the graph.

    Normalization and biases belong to the layer of weights before them.
    """
    layers: list[list[str]] = []
    for node in graph.nodes:
        for tensor in node.inputs:
            if tensor.node.op is not VARIABLE or any(tensor.node.attrs["name"] in names for names in layers):
                continue
            if tensor.rank > 1 or not layers:
                layers.append([])
            layers[-1].append(tensor.node.attrs["name"])
    return layers


def randomized(state: State, layers: Sequence[Sequence[str]], seed: int, first: int = 0) -> State:
    """Return a state in which each value of some layers is replaced by a random one of its variable.

    `first` is the number of the first of the layers, so that each layer has its own random numbers. The spread of the
    values stays. Values are drawn with replacement, which takes a tenth of the time of a shuffle; those of a large
    variable from `POOL` of them, which stay in the processor's cache.
    """
    result = dict(state)
    for number, names in enumerate(layers, start=first):
        for place, name in enumerate(names):
            values = state[name].reshape(-1)
            stream = number * 2**16 + place
            words = random_counter.words(min(values.size, POOL), seed, random_counter.EXPLAIN, 2 * stream)
            pool = values[words % np.uint64(values.size)]
            if values.size > POOL:
                few = random_counter.words(-(-values.size // 4), seed, random_counter.EXPLAIN, 2 * stream + 1)
                pool = pool[few.view(np.uint16)[: values.size]]
            result[name] = pool.reshape(state[name].shape)
    return result


def rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation of two maps of the same shape; 0 if one of them has equal values only."""
    first, second = _ranks(a.reshape(-1)), _ranks(b.reshape(-1))
    if not np.ptp(first) or not np.ptp(second):
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    """Return ranks from 0; equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts + ends - 1) / 2)[places.reshape(-1)])
