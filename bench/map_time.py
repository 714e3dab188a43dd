"""How long the map of 5,000 images takes: principal components, t-SNE and trustworthiness.

    python bench/map_time.py [--json FILE]

The features are those of a network that separates ten classes well: ReLU of Gaussians around ten centers.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
from common import begin, finish, parser, print_table

from opsin.explain.embedding import principal_components, trustworthiness, tsne

POINTS, CLASSES = 5_000, 10
WIDTHS = (84, 512, 1280)


def measure(width: int) -> list[str]:
    """Return a row of the table, for features of `width` numbers."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(CLASSES, width))
    points = np.maximum(centers[np.arange(POINTS) % CLASSES] + rng.normal(size=(POINTS, width)), 0)
    features = points.astype(np.float32)
    start = perf_counter()
    principal_components(features, 2)
    plane = perf_counter()
    found = tsne(features)
    mapped = perf_counter()
    trusted = trustworthiness(features, found.positions)
    end = perf_counter()
    times = [f"{seconds:.1f} s" for seconds in (plane - start, mapped - plane, end - mapped)]
    return [f"{POINTS:,} × {width}", *times, f"{trusted:.4f}"]


def main() -> None:
    options = parser(__doc__ or "").parse_args()
    record = begin(options)
    heads = ("features", "principal components", "t-SNE", "trustworthiness", "its value")
    finish(options, record | print_table(heads, [measure(width) for width in WIDTHS]))


if __name__ == "__main__":
    main()
