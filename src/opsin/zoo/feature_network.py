"""Any classifier without its last layer, as a network that gives features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opsin.base.errors import ShapeError
from opsin.ir import Tensor
from opsin.nn import Layer
from opsin.nn.features import last_layer_input
from opsin.nn.layer import current_trace


class FeatureNetwork(Layer):
    """Images N × C × H × W → "features" N × F: what the last layer of a `classifier` would read.

    Its parameters have the names that they have in the classifier. In training, "images" is an output as well, for
    losses that compare with the input.
    """

    def __init__(self, classifier: Layer) -> None:
        self.pretrained = classifier.pretrained
        self._classifier = (classifier,)  # in a tuple of its own: its layers are children, and it is none itself

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield from self._classifier[0].children()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits: Any = self._classifier[0].forward(x)
        if not isinstance(logits, Tensor) or logits.rank != 2:
            raise ShapeError(
                "features are what the last layer of a classifier reads; give the name of one as --network"
            )
        current_trace().auxiliaries.clear()  # classifiers in the middle of the network have nothing to learn
        features = last_layer_input(logits)
        return {"features": features, "images": x} if self.training else {"features": features}
