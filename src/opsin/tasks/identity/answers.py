"""The answer for an image: its unit vector; and what two of them say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.formatting import percent
from opsin.tasks.identity.calibration import SameThreshold


@dataclass(frozen=True, eq=False)
class Embedding:
    """The unit vector of an image, float32; for a true answer, the `name` of what it shows."""

    vector: NDArray[np.float32]
    name: str = ""

    def summary(self) -> str:
        """Return the name, or that there is a vector."""
        return self.name or f"a vector of {len(self.vector)} numbers"

    def to_data(self) -> dict[str, Any]:
        """Return the vector for JSON."""
        return {"embedding": self.vector.tolist()}

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True)
class Comparison:
    """How alike two images are: the cosine of their vectors, and the probability that they show the same.

    The `probability` assumes that half of all pairs do; it is None for a model without calibration, and so is `same`.
    """

    similarity: float
    probability: float | None
    same: bool | None

    @classmethod
    def of(cls, first: Embedding, second: Embedding, calibration: SameThreshold | None) -> Comparison:
        """Compare two answers of a model with this calibration."""
        similarity = float(first.vector.astype(np.float64) @ second.vector)
        if calibration is None:
            return cls(similarity, None, None)
        return cls(similarity, calibration.probability(similarity), similarity >= calibration.threshold)

    def to_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"similarity": self.similarity, "probability": self.probability, "same": self.same}

    def __str__(self) -> str:
        if self.same is None or self.probability is None:
            return f"similarity {self.similarity:.3f}; the model has no threshold"
        return (
            f"{'the same' if self.same else 'different'} (similarity {self.similarity:.3f}, probability of the same "
            f"{percent(self.probability)} if half of all pairs are)"
        )
