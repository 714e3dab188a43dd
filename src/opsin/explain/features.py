"""Features of images: what a network's last layer gets, or the vectors that a model answers with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import inf
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.base.errors import OpsinError
from opsin.data import Preprocessing
from opsin.data.batches import pad_rows
from opsin.data.pixels import Pixels
from opsin.ir import Graph
from opsin.model import Model
from opsin.model.pretrained import preprocessing_of, pretrained
from opsin.nn.features import penultimate_graph
from opsin.zoo.weights import WEIGHTS

BATCH = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PenultimateFeatures:
    """A network that computes features, ready to run.

    `independent`: its weights come from other data, not from the labels that it will judge.
    """

    program: Program
    preprocessing: Preprocessing
    independent: bool

    def batches(self, pixels: Pixels, order: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Floats]]:
        """Yield the numbers of some images of `order` at a time, and their features (float32 n × F)."""
        size = self.program.batch
        for first in range(0, len(order), size):
            numbers = order[first : first + size]
            images = pad_rows(self.preprocessing.apply(pixels[numbers]), size)
            yield numbers, self.program.run(inputs=images)["features"][: len(numbers)]

    def compute(self, pixels: Pixels, order: NDArray[np.intp], seconds: float = inf) -> Floats:
        """Return features (float32 n × F) of the first n images of `order`: as many as fit into `seconds`.

        At least one batch is computed.
        """
        end, batches = perf_counter() + seconds, []
        for _, features in self.batches(pixels, order):
            batches.append(features)
            if perf_counter() > end:
                break
        return np.concatenate(batches) if batches else np.empty((0, 0), np.float32)

    def fingerprint(self) -> str:
        """Return a digest of the weights and of the preprocessing: equal for programs with equal features."""
        digest = blake2b(str(self.preprocessing).encode(), digest_size=16)
        for name, array in sorted(self.program.state().items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def feature_graph(model: Model) -> Graph:
    """Return the graph of a model's features: images → "features", N × F.

    Those are the vectors that the model answers with, if its task is to compare images, and otherwise what its last
    layer gets. Raise `GraphError` if no layer has weights.
    """
    output = getattr(model.task, "vector_output", None)
    if output is None:
        return penultimate_graph(model.graph)
    return Graph(model.graph.inputs, {"features": model.graph.outputs[output]}).verify()


def feature_extractor(model: Model) -> PenultimateFeatures:
    """Return the model's network without its last layer.

    Use the published weights if the model was fine-tuned from them and they come with a Python package: these have
    not seen the labels. Raise `GraphError` if no layer has weights.
    """
    weights = WEIGHTS.get(model.network)
    if _was_pretrained(model) and weights is not None and weights.package is not None:
        try:
            return _published(model)
        except OpsinError:  # the package is not installed, or the network was changed
            pass
    return features_of(model)


def _was_pretrained(model: Model) -> bool:
    plan = model.record.get("plan")
    return isinstance(plan, dict) and plan.get("pretrained") is True


def features_of(model: Model) -> PenultimateFeatures:
    """Return the model's own features. Raise `GraphError` if no layer has weights."""
    return _compiled(model, feature_graph(model), model.state, model.preprocessing, independent=False)


def published_features(network: str) -> PenultimateFeatures:
    """Return the features of a network with published weights, for images of its size, with their borders.

    Raise `ModelError` if the weights cannot be obtained, and `UsageError` if there are none.
    """
    source = pretrained(network)
    preprocessing = preprocessing_of(network)
    graph = _without_last_layer(network, preprocessing)
    return _compiled(source, graph, source.state, preprocessing, independent=True)


def _published(model: Model) -> PenultimateFeatures:
    """Return the features of the published weights that a model began with, for images of the model's size."""
    source = pretrained(model.network, engine=model.engine, threads=model.threads)
    preprocessing = replace(model.preprocessing, mean=source.preprocessing.mean, std=source.preprocessing.std)
    graph = _without_last_layer(model.network, preprocessing)
    return _compiled(model, graph, source.state, preprocessing, independent=True)


def _without_last_layer(network: str, preprocessing: Preprocessing) -> Graph:
    return penultimate_graph(nn.trace(zoo.find(network)(pretrained=True), preprocessing.shape))


def _compiled(
    model: Model, graph: Graph, state: Mapping[str, NDArray[Any]], preprocessing: Preprocessing, independent: bool
) -> PenultimateFeatures:
    """Compile `graph` by the model's engine, with weights of `state`."""
    program = model.engine(graph, BATCH, model.threads)
    program.load_state({name: state[name] for name in graph.variables})
    return PenultimateFeatures(program, preprocessing, independent)
