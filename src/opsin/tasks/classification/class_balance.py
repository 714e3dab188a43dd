"""Training on classes of very different sizes.

Weights of 1 / count let a single rare image outweigh a whole batch, which ruins training from a ratio of about 20 on.
By default Opsin adjusts the logits instead: with log π added in the loss, where π are the shares of the classes, the
classifier that minimizes the loss is the best one by balanced accuracy, and no gradient grows (Menon et al. 2021,
"Long-tail learning via logit adjustment"). Weights remain an option, tempered to the square root of the ratio (Mahajan
et al. 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

IMBALANCE = 8.0
"""The ratio of the largest class to the smallest from which classes are balanced unless the options say otherwise."""


def imbalance(counts: Sequence[int]) -> float:
    """Return the ratio of the largest class to the smallest. Classes without images do not count."""
    nonzero_counts = [count for count in counts if count]
    return max(nonzero_counts) / min(nonzero_counts) if nonzero_counts else 1.0


def class_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Return one weight a class, proportional to 1 / √count; their mean over the images is 1.

    A class without images has the weight 1.
    """
    total, scale = sum(counts), sum(sqrt(count) for count in counts)
    return tuple(round(total / (scale * sqrt(count)), 12) if count else 1.0 for count in counts)


def smoothing_spread(weights: Sequence[float] | None, offsets: Sequence[float] | None) -> tuple[float, ...] | None:
    """Return the shares in which label smoothing is spread over the classes; None: evenly.

    Balanced classes get shares in proportion to their frequency. With even shares, a rare class would get more from
    smoothing the labels of common classes than from its own images, and the classifier would prefer it everywhere.
    """
    if weights is None and offsets is None:
        return None
    shares = [1 / weight for weight in weights] if weights else [exp(offset) for offset in offsets or ()]
    return tuple(share / sum(shares) for share in shares)


def logit_adjustment(counts: Sequence[int]) -> tuple[float, ...]:
    """Return one number a class to add to the logits in the loss: the logarithm of the class's share of the images.

    A class without images counts as one with a single image.
    """
    total = sum(counts)
    return tuple(log(max(count, 1) / total) for count in counts)
