"""The outputs of CenterFace: Xu, Yan, Yang, Xiong, Wang & Huang, "CenterFace: joint face detection and alignment using
face as point", 2020.

For every 4 × 4 pixels, the network says whether the centre of a face lies there, where exactly, how large the face is,
and where its landmarks are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.faces.face import LANDMARKS, Face
from opsin.ir import Graph
from opsin.tasks.detection.nms import batched_nms

STRIDE = 4
"""Pixels between two places of the outputs."""

MAX_OVERLAP = 0.3
"""The IoU above which two boxes are of the same face, as in the authors' program."""

MAX_FACES = 1000

MAX_LOG_SIZE = 8.0
"""Sizes are powers of e; this one is larger than any image."""


@dataclass(frozen=True)
class Outputs:
    """The names of the outputs: score, logarithm of the size, offset of the centre, and landmarks."""

    score: str
    size: str
    offset: str
    landmarks: str

    @classmethod
    def of(cls, graph: Graph) -> Outputs:
        """Find the outputs by their channels. Raise `ModelError` if the network is another."""
        names: dict[object, list[str]] = {}
        for name, tensor in graph.outputs.items():
            names.setdefault(tensor.shape[1] if tensor.rank == 4 else None, []).append(name)
        if {channels: len(same) for channels, same in names.items()} != {1: 1, 2: 2, 2 * len(LANDMARKS): 1}:
            raise ModelError("does not give the outputs of CenterFace; give its file centerface.onnx")
        size, offset = names[2]
        return cls(names[1][0], size, offset, names[2 * len(LANDMARKS)][0])

    def faces(self, outputs: Mapping[str, NDArray[np.float32]], least: float) -> list[Face]:
        """Return the faces in an image with a score of at least `least`, the most certain first."""
        score = outputs[self.score][0, 0]
        rows, columns = np.nonzero(score >= least)
        if not len(rows):
            return []
        size, offset, landmarks = (
            outputs[name][0][:, rows, columns] for name in (self.size, self.offset, self.landmarks)
        )
        height, width = STRIDE * np.exp(np.minimum(size, MAX_LOG_SIZE).astype(np.float64))
        top = STRIDE * (rows + offset[0] + 0.5) - height / 2
        left = STRIDE * (columns + offset[1] + 0.5) - width / 2
        boxes = np.stack([left, top, left + width, top + height], axis=1)
        points = np.stack([left + landmarks[1::2] * width, top + landmarks[::2] * height], axis=-1).transpose(1, 0, 2)
        scores = score[rows, columns]
        kept = batched_nms(boxes, scores, np.zeros(len(boxes), np.intp), MAX_OVERLAP, limit=MAX_FACES)
        return [Face(tuple(boxes[n].tolist()), points[n], float(scores[n])) for n in kept]
