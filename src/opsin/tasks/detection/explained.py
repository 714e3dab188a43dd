"""What of a detector's outputs is explained: the class logits of its best boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.tasks.detection.heads import Head
from opsin.tasks.detection.nms import batched_nms
from opsin.tasks.detection.results import MAX_CANDIDATES, MAX_OVERLAP
from opsin.tasks.explained_score import Activation, ExplainedScore, one_hot
from opsin.tasks.task import Outputs, Size


def box_scores(
    head: Head, outputs: Outputs, labels: Sequence[str], number: int | None, count: int, size: Size
) -> list[ExplainedScore]:
    """Return the class logits of the `count` best boxes of one image, the best first, without overlapping ones.

    Boxes are of the class `number`, or of all classes. The best ones count even if their scores are low. `size` is that
    of the image in whose pixels their places are described.
    """
    limit = MAX_CANDIDATES if number is None else head.count * head.classes
    found = head.decode({name: array[:1] for name, array in outputs.items()}, 0.0, limit)[0]
    rows = np.flatnonzero((found.classes == number) | (number is None))[:MAX_CANDIDATES]
    kept = rows[batched_nms(found.boxes[rows], found.scores[rows], found.classes[rows], MAX_OVERLAP, limit=count)]
    assert found.positions is not None
    shape = outputs["class_logits"].shape[1:]
    height, width = size
    scores = []
    for row in kept:
        label, position = labels[found.classes[row]], found.positions[row]
        box = tuple(np.clip(found.boxes[row], 0, 1).tolist())
        left, top, right, bottom = np.rint(np.array(box) * (width, height, width, height)).astype(int).tolist()
        weights = one_hot(shape, (position, head.logits - head.classes + found.classes[row]))
        description = f"the logit of '{label}' of the box from {left}, {top} to {right}, {bottom}"
        activation: Activation = "softmax" if head.logits > head.classes else "sigmoid"
        scores.append(ExplainedScore(label, description, {"class_logits": weights}, activation, 1, box))
    return scores
