"""Weights and images that two libraries make alike, from names and shapes, so that no file has to hold them.

`RandomState` is NumPy's old generator, whose numbers are promised to stay the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cache
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

IMAGES = (2, 3, 65, 76)
"""Odd and unequal, so that poolings round and rows are not columns; AlexNet takes no fewer than 63."""
LEARNING_RATE = 1e-4
"""So that a step changes no layer by much more than a tenth, and few by more than a thousandth."""
PIXEL_LEARNING_RATE = 1e-3
"""The same for segmentation: gradients average out over thousands of random labels."""
WEIGHT_DECAY = 1e-3
PIXELS = 1024
"""How many logits of segmentation networks are compared."""
SUMS = 8
"""How many random sums of each updated variable are compared."""
GAINS = {
    "resnet34": 0.7, "resnet50": 0.85, "resnet101": 0.7, "resnet152": 0.7, "resnext50_32x4d": 0.85,
    "wide_resnet50_2": 0.85, "fcn_resnet50": 0.85,
}  # fmt: skip
"""The weights of batch normalization, where not 1: smaller where many blocks add up."""
PERIOD = 65_537
"""Large weights repeat a block of this prime length: making a hundred million numbers takes too long."""


def numbers(name: str, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """Normal numbers, float64; with a `scale` of 1 single precision holds them exactly."""
    size = prod(shape)
    block = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(min(size, PERIOD))
    return np.resize(scale * block.astype(np.float32).astype(np.float64), shape)


def weight(network: str, name: str, shape: tuple[int, ...]) -> Array:
    """The variable `name` of `network`, as torchvision calls them: activations neither vanish nor explode."""
    if len(shape) > 1:
        return numbers(name, shape, float(np.float32(sqrt(2 / prod(shape[1:])))))
    values = numbers(name, shape)
    if name.endswith("running_var"):
        return 0.75 + 0.5 * np.abs(np.tanh(values))
    if name.endswith("weight"):  # of batch normalization
        return GAINS.get(network, 1.0) * (1 + 0.1 * np.tanh(values))
    return 0.1 * values


def weights(network: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    return {name: weight(network, name, shape) for name, shape in shapes.items()}


def images() -> Array:
    """Noise over a colour of each image's own: of noise alone, deep layers see only the mean."""
    return noise() + 2 * numbers("colours", (*IMAGES[:2], 1, 1))


def noise() -> Array:
    """For training, where the colours would make the batch's statistics those of two numbers."""
    return numbers("pictures", IMAGES)


def labels(classes: int) -> NDArray[np.int64]:
    """One for each image."""
    return np.array([3, classes // 2], np.int64)


def pixel_labels(classes: int) -> NDArray[np.int64]:
    """One for each pixel of each image."""
    batch, _, *size = IMAGES
    return np.random.RandomState(1).randint(0, classes, (batch, *size)).astype(np.int64)


def coefficients(shape: tuple[int, ...]) -> Array:
    """Σ coefficients · logits is the number whose gradient is compared."""
    return numbers("coefficients", shape)


@cache
def signs() -> Array:
    return np.random.RandomState(0).randint(0, 2, (SUMS, PERIOD)) * 2.0 - 1


def sums(values: Array) -> Array:
    """`SUMS` sums of all `values`, each with random signs, which repeat with a period.

    The mean square of such a sum is the squared norm (Johnson & Lindenstrauss 1984): a few of them tell how far two
    large arrays are apart, and only they have to be kept.
    """
    flat = values.reshape(-1)
    whole = flat.size // PERIOD * PERIOD
    rest = flat[whole:]
    folded = flat[:whole].reshape(-1, PERIOD).sum(0, dtype=np.float64)
    return np.asarray(signs() @ folded + signs()[:, : rest.size] @ rest)


def sample(name: str, values: Array, places: int = 64) -> Array:
    """The norm of `values`, and `places` of them that the name chooses."""
    at = np.random.RandomState(zlib.crc32(name.encode())).randint(0, values.size, places)
    return np.concatenate([[np.linalg.norm(values)], values.reshape(-1)[at]])
