"""A first layer that is computed from the training images rather than learnt.

Neighbouring pixels say nearly the same. In the eigenvectors of their covariance, each divided by the root of its
eigenvalue, they are independent of each other and equally large ("whitened"), and what follows learns faster:
Coates & Ng, "Learning feature representations with k-means", 2012; as the first convolution of a network, David Page,
"How to train your ResNet", 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.ir import Tensor
from opsin.nn.initializers import fan_in_uniform
from opsin.nn.layer import Configured, Layer, named_layers
from opsin.ops.sliding import image

LEAST = 5e-4
"""Added to eigenvalues, so that directions in which nothing happens are not blown up."""
TOGETHER = 2**18
"""Numbers of images that are cut into patches together, which takes eight times as many."""


@dataclass(eq=False)
class Whitening(Configured):
    """Whitened `kernel` × `kernel` patches of images, and their negatives: N × C × H × W → N × 2 C kernel² × H' × W'.

    What images show is in both signs, so that ReLUs behind it lose none of it. The `weight` does not learn: `fitted`
    gives it. Only for images as they come into the network.
    """

    kernel: int = 2

    def forward(self, x: Tensor) -> Tensor:
        _, channels, _ = image("whitening", x.type)
        shape = (2 * channels * self.kernel**2, channels, self.kernel, self.kernel)
        return ops.conv2d(x, self.parameter("weight", shape, fan_in_uniform(shape), trainable=False))

    def fitted(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weight for `images` N × C × H × W, prepared as the network sees them."""
        size, some = self.kernel, max(1, TOGETHER // images[0].size)
        products, count = np.zeros((images.shape[1] * size**2,) * 2), 0
        for first in range(0, len(images), some):
            windows = np.lib.stride_tricks.sliding_window_view(images[first : first + some], (size, size), (2, 3))
            patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, len(products)).astype(np.float64)
            products, count = products + patches.T @ patches, count + len(patches)
        values, vectors = np.linalg.eigh(products / count)
        signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])  # eigenvectors have none
        white = (vectors * (signs / np.sqrt(values + LEAST))).T[::-1].reshape(-1, images.shape[1], size, size)
        return np.concatenate([white, -white]).astype(np.float32)


def fit_whitening(network: Layer, images: Callable[[], NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """The values, by name, of all that is computed from training images in `network`.

    `images` gives them, N × C × H × W, and is asked only where something is.
    """
    layers = {path: layer for path, layer in named_layers(network).items() if isinstance(layer, Whitening)}
    if not layers:
        return {}
    shown = images()
    return {f"{path}.weight" if path else "weight": layer.fitted(shown) for path, layer in layers.items()}
