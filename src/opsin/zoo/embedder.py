"""Any classifier as a network that gives unit vectors, to be compared by their angles."""

from __future__ import annotations

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Layer
from opsin.nn.metric_losses import unit_vectors


class Embedder(Layer):
    """Images N × C × H × W → "embeddings" N × dimensions, of length 1, from a `backbone` that gives N × dimensions.

    The last layer of the backbone, a classifier made for so many classes, gives the numbers. They are normalized over
    the batch before they get length 1, so that no dimension dominates (Deng et al., "ArcFace", 2019, section 3.2).
    """

    def __init__(self, backbone: Layer) -> None:
        self.backbone, self.norm = backbone, BatchNorm2d()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x)
        if not isinstance(features, Tensor) or features.rank != 2:
            raise ShapeError("an embedding is made of the output of a classifier; give the name of one as --network")
        batch, width = features.shape
        normalized = self.norm(ops.reshape(features, (batch, width, 1, 1)))
        return {"embeddings": unit_vectors(ops.reshape(normalized, (batch, width)))}
