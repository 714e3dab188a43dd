"""A convolution whose weight is computed from training images instead of learned: PCA whitening of image patches.

Neighbouring pixels are strongly correlated. Projected onto the eigenvectors of their covariance, each divided by the
square root of its eigenvalue, patches become uncorrelated and of unit variance ("whitened"), and the layers after it
learn faster: Coates & Ng, "Learning feature representations with k-means", 2012; as the first convolution of a network,
David Page, "How to train your ResNet", 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Tensor
from opsin.nn.initializers import fan_in_uniform
from opsin.nn.layer import Configured, Layer, named_layers
from opsin.ops.sliding import image

REGULARIZATION = 5e-4
"""A constant added to the eigenvalues, which limits the amplification of directions without variance."""
BLOCK_NUMBERS = 2**18
"""Numbers in the images that are cut into patches at a time; the patches take eight times as much memory."""


@renamed_arguments(kernel="kernel_size")
@dataclass(eq=False)
class Whitening(Configured):
    """Whitened patches of images and their negatives: N × C × H × W → N × 2·C·`kernel_size`² × H' × W'.

    With both signs, a ReLU after it loses no information. The `weight` is not trained; `fitted` computes it. Apply the
    layer only to the inputs of the network.
    """

    kernel_size: int = 2

    def forward(self, x: Tensor) -> Tensor:
        _, channels, _ = image("whitening", x.type)
        shape = (2 * channels * self.kernel_size**2, channels, self.kernel_size, self.kernel_size)
        return ops.conv2d(x, self.parameter("weight", shape, fan_in_uniform(shape), trainable=False))

    def fitted(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the weight for preprocessed `images` N × C × H × W."""
        size, channels = self.kernel_size, images.shape[1]
        block = max(1, BLOCK_NUMBERS // images[0].size)
        products = np.zeros((channels * size**2,) * 2)
        count = 0
        for start in range(0, len(images), block):
            windows = np.lib.stride_tricks.sliding_window_view(images[start : start + block], (size, size), (2, 3))
            patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, len(products)).astype(np.float64)
            products, count = products + patches.T @ patches, count + len(patches)
        values, vectors = np.linalg.eigh(products / count)
        # The sign of an eigenvector is arbitrary: make its largest component positive.
        signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
        whitening = (vectors * (signs / np.sqrt(values + REGULARIZATION))).T[::-1].reshape(-1, channels, size, size)
        return np.concatenate([whitening, -whitening]).astype(np.float32)


def fit_whitening(network: Layer, images: Callable[[], NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Return the weights, by name, of all whitening layers in `network`.

    `images` returns training images N × C × H × W. It is called only if the network has such a layer.
    """
    layers = {path: layer for path, layer in named_layers(network).items() if isinstance(layer, Whitening)}
    if not layers:
        return {}
    pixels = images()
    return {f"{path}.weight" if path else "weight": layer.fitted(pixels) for path, layer in layers.items()}
