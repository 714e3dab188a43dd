"""Variables whose values are whole numbers times a scale, such as the weights of a quantized layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RoundedVariable:
    """The whole numbers, int8 or int32, of which a variable is made, and their scale.

    `scale` is one float32 number for each element of the first axis.
    """

    integers: NDArray[Any]
    scale: NDArray[np.float32]

    @property
    def values(self) -> NDArray[np.float32]:
        """The values of the variable: integers · scale."""
        column = self.scale.reshape(-1, *[1] * (self.integers.ndim - 1))
        return np.asarray(self.integers.astype(np.float32) * column, np.float32)
