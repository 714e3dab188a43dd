"""How long the map of 5,000 images takes: principal components, t-SNE and trustworthiness.

    python bench/map_time.py

The features are those of a network that separates ten classes well: ReLU of Gaussians around ten centers.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from opsin.explain.embedding import principal_components, trustworthiness, tsne

POINTS, CLASSES = 5_000, 10


def main() -> None:
    for width in (84, 512, 1280):
        rng = np.random.default_rng(0)
        centers = rng.normal(size=(CLASSES, width))
        points = np.maximum(centers[np.arange(POINTS) % CLASSES] + rng.normal(size=(POINTS, width)), 0)
        features = points.astype(np.float32)
        begin = perf_counter()
        principal_components(features, 2)
        plane = perf_counter()
        found = tsne(features)
        mapped = perf_counter()
        trusted = trustworthiness(features, found.positions)
        end = perf_counter()
        print(
            f"{POINTS:,} × {width}: principal components {plane - begin:.1f} s, t-SNE {mapped - plane:.1f} s "
            f"(divergence {found.divergence:.3f}), trustworthiness {trusted:.4f} in {end - mapped:.1f} s"
        )


if __name__ == "__main__":
    main()
