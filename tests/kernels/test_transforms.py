"""The transforms of Winograd's algorithm are the matrices of Lavin & Gray's paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from opsin.kernels import transforms
from opsin.kernels.ir import Builder, Value, interpret

BT = np.array(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
)  # fmt: skip
G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
)  # fmt: skip
AT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
Transform = Callable[[Sequence[Value]], list[Value]]

each_transform = pytest.mark.parametrize(
    ("transform", "matrix"),
    [
        (transforms.input_row, BT),
        (transforms.filter_row, G),
        (transforms.output_row, AT),
        (transforms.gradient_row, AT.T),
        (transforms.filter_gradient_row, G.T),
    ],
    ids=["input", "filter", "output", "gradient", "filter_gradient"],
)


@each_transform
def test_a_row(transform: Transform, matrix: np.ndarray) -> None:
    """All unit vectors at once, one in each lane."""
    points, size = matrix.shape
    k = Builder("row")
    x, y = k.buffer("x"), k.buffer("y")
    for i, value in enumerate(transform([k.load(x, i * size, size) for i in range(size)])):
        k.store(y, i * size, value)
    actual = np.zeros((points, size), np.float32)
    interpret(k.kernel(), [np.eye(size, dtype=np.float32), actual], 0, 1)
    np.testing.assert_allclose(actual, matrix, rtol=1e-6, atol=1e-7)


@each_transform
def test_both_axes(transform: Transform, matrix: np.ndarray) -> None:
    points, size = matrix.shape
    k = Builder("tile")
    x, y = k.buffer("x"), k.buffer("y")
    tile = transforms.both_axes(size, size, lambda i, j: k.load(x, i * size + j), transform)
    for i, values in enumerate(tile):
        for j, value in enumerate(values):
            k.store(y, i * points + j, value)
    pixels = np.random.default_rng(size).standard_normal((size, size)).astype(np.float32)
    actual = np.zeros((points, points), np.float32)
    interpret(k.kernel(), [pixels, actual], 0, 1)
    np.testing.assert_allclose(actual, matrix @ pixels @ matrix.T, rtol=1e-5, atol=1e-4)


def test_a_tile_of_a_convolution() -> None:
    """Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A is the convolution, and these matrices have the property exactly."""
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
    y = AT @ ((G @ g @ G.T) * (BT @ d @ BT.T)) @ AT.T
    windows = np.lib.stride_tricks.sliding_window_view(d, (3, 3))
    np.testing.assert_allclose(y, np.einsum("ijrs,rs->ij", windows, g), atol=1e-12)
