"""Random changes of rows: each column by its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from opsin.data.several.columns import Column
from opsin.inputs.kind import Augmentation, Unchanged


@dataclass(frozen=True)
class ChangedColumns:
    """Columns with the place at which their bytes begin, and their changes."""

    columns: tuple[tuple[Column, int, Augmentation], ...]
    mixes: ClassVar[bool] = False

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        result = samples.copy().reshape(len(samples), -1)
        for number, (column, begin, change) in enumerate(self.columns):
            if isinstance(change, Unchanged):
                continue
            part = result[:, begin + 1 : begin + column.bytes]
            _, values = column.unpack(result[:, begin : begin + column.bytes])
            changed = np.ascontiguousarray(change(values, seed + number, epoch, first), column.kind.dtype)
            part[:] = changed.reshape(len(samples), -1).view(np.uint8)
        return result.reshape(samples.shape)
