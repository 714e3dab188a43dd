"""ROAD: remove and debias. How much more the answer suffers if important pixels are removed than if others are.

Rong et al. 2022, see `imputation`. Of the most important pixels, and of the least important ones, the shares `SHARES`
are removed and imputed. The figure is half the difference of the mean confidences, from -0.5 to 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.explain.faithfulness.imputation import impute
from opsin.explain.faithfulness.ranking import Ranks

SHARES = (0.2, 0.4, 0.6, 0.8)


def without_pixels(image: NDArray[np.float32], ranks: Ranks, seed: int) -> NDArray[np.float32]:
    """Return an image, C × H × W, without the shares of its most important pixels, then of its least important."""
    limits = np.rint(np.array(SHARES) * ranks.size)[:, None, None]
    return impute(image, np.concatenate([ranks < limits, ranks >= ranks.size - limits]), seed)


def road(confidences: NDArray[np.float64]) -> float:
    """Return the figure from the confidences for the images of `without_pixels`."""
    most, least = confidences[: len(SHARES)], confidences[len(SHARES) :]
    return float((least.mean() - most.mean()) / 2)
