"""Which channels of a layer are shown, if there is no space for all."""

from __future__ import annotations

import numpy as np

from opsin.explain.observer import Floats


def strongest_channels(values: Floats, gradients: Floats, count: int) -> list[int]:
    """Return the numbers of at most `count` channels, ascending: those that contribute most to the score.

    The contribution of a channel is the sum of |value · gradient| over its places; for several images, that of the
    image for which it is largest relative to all channels. Channels without any contribution are ordered by their
    variance. Both arrays are N × C × …
    """
    channels = values.shape[1]
    if channels <= count:
        return list(range(channels))
    rows = values.reshape(*values.shape[:2], -1).astype(np.float64)
    contribution = np.abs(rows * gradients.reshape(rows.shape)).sum(axis=2)
    share = (contribution / np.maximum(contribution.sum(axis=1, keepdims=True), 1e-300)).max(axis=0)
    order = np.lexsort((np.arange(channels), -rows.std(axis=2).max(axis=0), -share))
    return sorted(order[:count].tolist())
