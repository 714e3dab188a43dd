"""A linear layer on the features of another network, for classes with few images."""

from __future__ import annotations

from collections.abc import Iterator

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor
from opsin.nn import Layer, Linear
from opsin.nn.features import last_layer_input
from opsin.nn.metric_losses import unit_vectors

HEAD = "prototypes"
"""The name of the layer on the features."""

THUMBNAIL_SIDE = 16


class FeatureClassifier(Layer):
    """Images N × C × H × W → logits N × `classes`, a linear layer on the unit vector of the features of an image.

    The features are what the last layer of `network`, a classifier, takes, or the vectors that an embedder gives. The
    layers of the network keep their names; its last layer is left out.
    """

    def __init__(self, network: Layer, classes: int) -> None:
        self.network, self.head = network, Linear(classes)

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield from self.network.children()
        yield HEAD, self.head

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.network(x)
        if isinstance(self.network, Thumbnails):
            return self.head(unit_vectors(outputs))
        if isinstance(outputs, Tensor):
            return self.head(unit_vectors(last_layer_input(outputs)))
        if "embeddings" not in outputs:
            raise ShapeError("few images are classified by the features of a classifier, or of a network of identities")
        return self.head(outputs["embeddings"])


class Thumbnails(Layer):
    """Images N × C × H × W → N × features: the means of areas, about 16 × 16 of them, around the mean of the image.

    It has no parameters, and is what few images are compared by if there are no trained weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        _, _, height, width = x.shape
        rows, columns = (max(1, int(str(side)) // THUMBNAIL_SIDE) for side in (height, width))
        means = ops.flatten(ops.avg_pool2d(x, (rows, columns)))
        return ops.subtract(means, ops.mean(means, 1, keepdims=True))
