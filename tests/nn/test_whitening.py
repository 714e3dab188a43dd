"""The first layer that is computed from the images."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.reference import Reference
from opsin.ir import Tensor
from opsin.nn import whitening


def images(channels: int) -> np.ndarray:
    """Smooth ones: neighbours are alike, and channels too."""
    rough = np.random.default_rng(channels).standard_normal((64, channels, 12, 12))
    smooth = rough + np.roll(rough, 1, 2) + np.roll(rough, 1, 3) + rough.mean(axis=1, keepdims=True)
    return smooth.astype(np.float32)


class Net(nn.Layer):
    def __init__(self, kernel: int) -> None:
        self.white, self.flat, self.fc = nn.Whitening(kernel), nn.Flatten(), nn.Linear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.flat(ops.relu(self.white(x))))


@pytest.mark.parametrize(("channels", "kernel"), [(3, 2), (1, 3)])
def test_whitened_patches_are_uncorrelated_with_unit_variance(channels: int, kernel: int) -> None:
    given = images(channels)
    layer = nn.Whitening(kernel)
    graph = nn.trace(layer, given.shape[1:])
    program = Reference(graph, len(given), np.float64)
    weight = layer.fitted(given)
    assert weight.shape == graph.variables["weight"].shape == (2 * channels * kernel**2, channels, kernel, kernel)
    program.load_state({"weight": weight})
    actual = program.run(inputs=given)["logits"]
    half = actual.shape[1] // 2
    np.testing.assert_allclose(actual[:, half:], -actual[:, :half], atol=1e-6)
    values = np.moveaxis(actual[:, :half], 1, 0).reshape(half, -1)
    np.testing.assert_allclose(values @ values.T / values.shape[1], np.eye(half), atol=0.02)


def test_signs_are_deterministic() -> None:
    """Eigenvectors have no sign of their own: the largest part of each is made positive."""
    white = nn.Whitening().fitted(images(3))
    flat = white[:12].reshape(12, -1)
    assert (flat[np.arange(12), np.abs(flat).argmax(axis=1)] > 0).all()


def not_asked() -> np.ndarray:
    raise AssertionError("no layer needs images")


def test_many_images_are_processed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = images(3)
    whole = nn.Whitening().fitted(given)
    monkeypatch.setattr(whitening, "BLOCK_NUMBERS", 5 * given[0].size)
    np.testing.assert_allclose(nn.Whitening().fitted(given), whole, rtol=1e-5, atol=1e-6)


def test_fitted_weights_by_name() -> None:
    actual = nn.fit_whitening(Net(2), lambda: images(3))
    assert list(actual) == ["white.weight"]
    assert nn.fit_whitening(nn.Sequential(nn.Flatten(), nn.Linear(2)), not_asked) == {}


def test_the_weight_is_not_trained() -> None:
    graph = nn.training_graph(Net(2), (3, 6, 6), nn.optimizers.SGD())
    assert "white.weight" in graph.variables
    assert "white.weight" not in graph.updates
    assert "fc.weight" in graph.updates
