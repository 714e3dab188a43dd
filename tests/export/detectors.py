"""Small untrained detectors with the heads of the zoo's, and many boxes."""

from __future__ import annotations

import numpy as np

from opsin import nn, ops
from opsin.data import Preprocessing
from opsin.data.decode import Stretch
from opsin.ir import Tensor
from opsin.model import Model
from opsin.tasks.detection.calibration import ScoreThreshold
from opsin.tasks.detection.task import ObjectDetection

LABELS = ("cat", "dog", "bird")


class Pyramid(nn.Layer):
    """Maps of halved sizes, with the logits and offsets of `boxes` positions in each cell."""

    def __init__(self, stride: int, maps: int, boxes: int, logits: int) -> None:
        self.stem, self.maps, self.logits = nn.Conv2d(8, stride, stride=stride), maps, logits
        self.classes, self.offsets = nn.Conv2d(boxes * logits, 1), nn.Conv2d(boxes * 4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x, found = self.stem(x), list[tuple[Tensor, Tensor]]()
        for _ in range(self.maps):
            found.append((self._rows(self.classes(x), self.logits), ops.absolute(self._rows(self.offsets(x), 4))))
            x = ops.max_pool2d(x, 2, ceil_mode=True)
        logits, offsets = zip(*found, strict=True)
        return {"class_logits": ops.concat(logits, 1), "box_offsets": ops.concat(offsets, 1)}

    def _rows(self, x: Tensor, numbers: int) -> Tensor:
        batch, channels, rows, columns = x.shape
        cells = ops.transpose(ops.reshape(x, (batch, channels, rows * columns)), (0, 2, 1))
        return ops.reshape(cells, (batch, rows * columns * (channels // numbers), numbers))


def detectors() -> dict[str, Model]:
    """Return a detector of each kind."""
    points = Pyramid(8, 4, 1, 3), "fcos_efficientnet_lite0", (64, 96), 0.75
    anchors = Pyramid(16, 6, 6, 4), "ssdlite320_mobilenet_v3_large", (320, 320), 0.55
    return {"points": _make(*points), "anchors": _make(*anchors)}


def _make(layers: nn.Layer, network: str, size: tuple[int, int], score: float) -> Model:
    task = ObjectDetection(LABELS).for_network(network, size)
    preparation = Preprocessing(3, *size, (0.5, 0.4, 0.3), (0.2, 0.3, 0.25), crop=Stretch("bilinear"))
    graph = nn.trace(layers, (3, *size))
    rng = np.random.default_rng(3)
    state = {key: array + rng.normal(0, 0.3, array.shape) for key, array in nn.initial_state(graph, 5).items()}
    state = {key: array.astype(np.float32) for key, array in state.items()}
    calibration = ScoreThreshold(score, 0.9, 0.8, 0.85, 100)
    return Model("small", graph, state, preparation, task, nn.layer_kinds(layers), calibration=calibration)
