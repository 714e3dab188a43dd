"""Penultimate features: the input of a network's last layer, computed once for all measurements that need it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.base.errors import GraphError, OpsinError
from opsin.data import Preprocessing
from opsin.data.batches import pad_rows
from opsin.data.pixels import Pixels
from opsin.ir import VARIABLE, Graph, Tensor
from opsin.model import Model
from opsin.model.pretrained import pretrained
from opsin.ops import flatten, global_avg_pool2d
from opsin.zoo.weights import WEIGHTS

BATCH = 32
LAST_LAYER_OPS = ("matmul", "conv2d")

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PenultimateFeatures:
    """A network without its last layer, ready to run.

    `independent`: its weights come from other data, not from the labels that it will judge.
    """

    program: Program
    preprocessing: Preprocessing
    independent: bool

    def compute(self, pixels: Pixels, order: NDArray[np.intp], seconds: float) -> Floats:
        """Return features (float32 n × F) of the first n images of `order`: as many as fit into `seconds`.

        At least one batch is computed.
        """
        end = perf_counter() + seconds
        batches, size = [], self.program.batch
        for first in range(0, len(order), size):
            numbers = order[first : first + size]
            images = pad_rows(self.preprocessing.apply(pixels[numbers]), size)
            outputs = self.program.run(inputs=images)
            batches.append(outputs["features"][: len(numbers)])
            if perf_counter() > end:
                break
        return np.concatenate(batches) if batches else np.empty((0, 0), np.float32)


def penultimate_graph(graph: Graph) -> Graph:
    """Cut `graph` (images → logits) before its last layer with weights: images → "features", N × F.

    Feature maps, such as before a last layer that convolves, are averaged over each channel. Raise `GraphError` if no
    layer has weights.
    """
    for node in reversed(graph.nodes):
        if node.op.name in LAST_LAYER_OPS and any(_is_weight(operand) for operand in node.inputs[1:]):
            features = node.inputs[0]
            if features.rank > 2:
                features = flatten(global_avg_pool2d(features))
            return Graph(graph.inputs, {"features": features}).verify()
    raise GraphError("the network has no layer with weights, and so no features")


def _is_weight(tensor: Tensor) -> bool:
    """Whether a tensor is a variable, possibly transposed or reshaped."""
    while len(tensor.node.inputs) == 1:
        tensor = tensor.node.inputs[0]
    return tensor.node.op is VARIABLE


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
    return _compiled(model, penultimate_graph(model.graph), model, independent=False)


def _was_pretrained(model: Model) -> bool:
    plan = model.record.get("plan")
    return isinstance(plan, dict) and plan.get("pretrained") is True


def _published(model: Model) -> PenultimateFeatures:
    source = pretrained(model.network, engine=model.engine, threads=model.threads)
    graph = nn.trace(zoo.find(model.network)(pretrained=True), model.preprocessing.shape)
    return _compiled(model, penultimate_graph(graph), source, independent=True)


def _compiled(model: Model, graph: Graph, source: Model, independent: bool) -> PenultimateFeatures:
    """Compile `graph` with weights, mean and standard deviation of `source`, for images of the model's size."""
    program = model.engine(graph, BATCH, model.threads)
    program.load_state({name: source.state[name] for name in graph.variables})
    preprocessing = replace(model.preprocessing, mean=source.preprocessing.mean, std=source.preprocessing.std)
    return PenultimateFeatures(program, preprocessing, independent)
