"""Orders of images in which some of the same group come together, so that a batch holds several of several groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP_SIZE = 4
"""Images of a group that come together: K in batches of P × K (Hermans, Beyer & Leibe 2017)."""


def grouped_order(order: NDArray[np.intp], groups: NDArray[np.int32], size: int = GROUP_SIZE) -> NDArray[np.intp]:
    """Return the N numbers of a random `order` of images with these `groups`, each once, in runs of a group.

    A run has `size` images, or those that are left of its group. The first image of a run keeps its place among those
    of other runs, so that the runs are in random order, too.
    """
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    by_group = np.lexsort((place, groups))  # images of each group, in the random order
    _, first = np.unique(groups[by_group], return_index=True)
    sizes = np.diff([*first, len(order)])
    rank = np.arange(len(order)) - np.repeat(first, sizes)  # how many of the same group come before
    leader = by_group[np.arange(len(order)) - rank % size]
    return by_group[np.lexsort((rank, place[leader]))]
