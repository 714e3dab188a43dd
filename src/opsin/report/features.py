"""What the last layer of a network sees of images: features, computed once for all that is asked of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.base.errors import GraphError, OpsinError
from opsin.data import Preprocessing
from opsin.data.pixels import Pixels
from opsin.ir import VARIABLE, Graph, Tensor
from opsin.model import Model
from opsin.model.pretrained import pretrained
from opsin.ops import flatten, global_avg_pool2d
from opsin.zoo.weights import WEIGHTS

BATCH = 32
HEADS = ("matmul", "conv2d")

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HeadFeatures:
    """A network without its last layer, ready to run.

    `published`: its weights come from other data, so that it has not seen the labels that are to be judged.
    """

    program: Program
    preprocessing: Preprocessing
    published: bool

    def features(self, pixels: Pixels, order: NDArray[np.intp], seconds: float) -> Floats:
        """Features float32 n × F of the first n images of `order`, which are as many as fit into `seconds`.

        At least one batch is computed, and where all were asked for and there is time, n is their number.
        """
        end, parts, size = perf_counter() + seconds, [], self.program.batch
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            full = pixels[np.resize(chosen, size)]
            outputs = self.program.run(inputs=self.preprocessing.apply(full))
            parts.append(outputs["features"][: len(chosen)])
            if perf_counter() > end:
                break
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def cut(graph: Graph) -> Graph:
    """`graph` (images → logits) up to the input of its last layer with weights: images → "features", N × F.

    What is still an image there, as before a last layer that convolves, becomes the mean of each channel.
    `GraphError` where no layer has weights.
    """
    for node in reversed(graph.nodes):
        if node.op.name in HEADS and any(_is_weight(operand) for operand in node.inputs[1:]):
            found = node.inputs[0]
            if found.rank > 2:
                found = flatten(global_avg_pool2d(found))
            return Graph(graph.inputs, {"features": found}).verify()
    raise GraphError("the network has no layer with weights, and so no features")


def _is_weight(tensor: Tensor) -> bool:
    """Whether it is a variable, perhaps transposed or reshaped."""
    while len(tensor.node.inputs) == 1:
        tensor = tensor.node.inputs[0]
    return tensor.node.op is VARIABLE


def find_trunk(model: Model) -> HeadFeatures:
    """The published trunk of the model's network, where its weights are at hand without a download; else its own."""
    weights = WEIGHTS.get(model.network)
    if _was_pretrained(model) and weights is not None and weights.package is not None:
        try:
            return _published(model)
        except OpsinError:  # the package is gone, or the network was changed
            pass
    return _trunk(model, cut(model.graph), model, published=False)


def _was_pretrained(model: Model) -> bool:
    plan = model.record.get("plan")
    return isinstance(plan, dict) and plan.get("pretrained") is True


def _published(model: Model) -> HeadFeatures:
    source = pretrained(model.network, engine=model.engine, threads=model.threads)
    graph = nn.trace(zoo.find(model.network)(pretrained=True), model.preprocessing.shape)
    return _trunk(model, cut(graph), source, published=True)


def _trunk(model: Model, graph: Graph, source: Model, published: bool) -> HeadFeatures:
    """`graph` with the weights and the mean and deviation of `source`, for images of the model's size."""
    program = model.engine(graph, BATCH, model.threads)
    program.load_state({name: source.state[name] for name in graph.variables})
    preprocessing = replace(model.preprocessing, mean=source.preprocessing.mean, std=source.preprocessing.std)
    return HeadFeatures(program, preprocessing, published)
