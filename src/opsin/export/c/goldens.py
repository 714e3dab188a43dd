"""The numbers of the golden outputs that a C file holds and compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.export.goldens import Goldens

MAX_VALUES = 128
"""Values of an output that are compared, at most, evenly spaced."""


@dataclass(frozen=True, eq=False)
class GoldenValues:
    """Numbers of a network's outputs, float32 golden images × values: of each output, one after the other, every number
    whose place is a multiple of its step. `steps` has them, next to the counts.

    The numbers of a map are in the order rows, columns, classes, as in memory.
    """

    values: NDArray[np.float32]
    steps: tuple[tuple[int, int], ...]


def golden_values(goldens: Goldens, outputs: Sequence[str]) -> GoldenValues:
    """Return numbers of the golden outputs with these names."""
    parts, steps = [], []
    for name in outputs:
        rows = _in_memory_order(goldens.outputs[name])
        step = -(-rows.shape[1] // MAX_VALUES)
        parts.append(rows[:, ::step])
        steps.append((parts[-1].shape[1], step))
    return GoldenValues(np.concatenate(parts, axis=1), tuple(steps))


def _in_memory_order(output: NDArray[np.float32]) -> NDArray[np.float32]:
    return (np.moveaxis(output, 1, -1) if output.ndim == 4 else output).reshape(len(output), -1)
