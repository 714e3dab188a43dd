"""The answer for an image: its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Features:
    """The features of an image, float32; for a true answer, the `folder` that it lies in."""

    vector: NDArray[np.float32]
    folder: str = ""

    def summary(self) -> str:
        """Return the folder, or that there are features."""
        return self.folder or f"{len(self.vector)} features"

    def to_data(self) -> dict[str, Any]:
        """Return the features for JSON."""
        return {"features": self.vector.tolist()}

    def __str__(self) -> str:
        return self.summary()
