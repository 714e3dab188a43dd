"""The kernels of a stage: weights of convolutions and matrices, for the channels that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from opsin.explain.observer import Floats
from opsin.explain.stages import Stage
from opsin.inspection.page.arrays import FLOAT_BYTES, Arrays
from opsin.inspection.subject import Subject
from opsin.ir import Node, Tensor

CONVOLUTIONS = ("conv2d", "conv_transpose2d")


def kernels_of(
    subject: Subject, channels: Mapping[Stage, list[int]], budget: int, arrays: Arrays
) -> list[dict[str, Any] | None]:
    """Return the weights of each stage's convolution, filters × inputs × rows × columns, or None.

    `channels` are the output channels that are shown. Of filters with many inputs, those with the largest weights are
    kept.
    """
    tensors = {stage: tensor for stage in channels if (tensor := weight_of(stage)) is not None}
    if not tensors:
        return [None] * len(channels)
    image = subject.images[0].pixels[None]
    values = dict(zip(tensors, subject.observer.run(image, list(tensors.values())), strict=True))
    share = budget // len(tensors)
    return [_chosen(values[stage], channels[stage], share, arrays) if stage in values else None for stage in channels]


def weight_of(stage: Stage) -> Tensor | None:
    """Return the weights of the convolution in a stage, however they are computed; None if there is none."""
    nodes: list[Node] = [node for step in stage.steps for node in step.nodes if node.op.name in CONVOLUTIONS]
    return nodes[0].inputs[1] if nodes else None


def _chosen(weights: Floats, channels: list[int], share: int, arrays: Arrays) -> dict[str, Any]:
    """Return the weights of some filters and inputs that fit into `share` bytes."""
    taps = int(np.prod(weights.shape[2:]))
    limit = max(4, share // (FLOAT_BYTES * taps))
    rows = [channel for channel in channels if channel < len(weights)] or [0]
    rows = rows[: max(1, min(len(rows), limit // min(weights.shape[1], 4)))]
    inputs = min(weights.shape[1], max(1, limit // len(rows)))
    strength = np.abs(weights[rows]).sum(axis=(0, 2, 3))
    columns = sorted(np.argsort(-strength, kind="stable")[:inputs].tolist())
    return {
        "filters": rows, "inputs": columns, "shape": list(weights.shape),
        "values": arrays.add(weights[np.ix_(rows, columns)]),
    }  # fmt: skip
