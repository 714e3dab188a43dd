"""Convolution, pooling and resampling against their definitions, written as plainly as possible."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from opsin.ops import OPS, axis_weights
from opsin.ops.dropout import mix
from tests.support import Array, cases, generator, relative_error

COUNT = 12


def at(x: Array, n: int, c: int, row: int, column: int) -> float:
    """An element of x, or 0 outside."""
    inside = 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
    return float(x[n, c, row, column]) if inside else 0.0


def test_conv2d_matches_its_definition() -> None:
    """y[n,k,i,j] = Σ x[n, c, i·stride - padding + u·dilation, …] · w[k,c,u,v], c running over the group's channels."""
    rng = generator("definition of conv2d")
    for sample in cases("conv2d", rng, COUNT):
        (x, w), attrs = sample.inputs, sample.attrs
        y = OPS["conv2d"].evaluate(x, w, **attrs)
        (sh, sw), ((top, _), (left, _)), (dh, dw) = attrs["stride"], attrs["padding"], attrs["dilation"]
        filters = len(w) // attrs["groups"]
        for _ in range(20):
            n, k, i, j = (int(rng.integers(size)) for size in y.shape)
            first = k // filters * w.shape[1]
            expected = sum(
                at(x, n, first + c, i * sh - top + u * dh, j * sw - left + v * dw) * w[k, c, u, v]
                for c, u, v in product(*map(range, w.shape[1:]))
            )
            assert abs(y[n, k, i, j] - expected) < 1e-12 * (1 + abs(expected))


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling_reads_each_window(name: str) -> None:
    rng = generator("definition of", name)
    for sample in cases(name, rng, COUNT):
        (x,), attrs = sample.inputs, sample.attrs
        y = OPS[name].evaluate(x, **attrs)
        (kh, kw), (sh, sw), ((top, bottom), (left, right)) = attrs["window"], attrs["stride"], attrs["padding"]
        for _ in range(20):
            n, c, i, j = (int(rng.integers(size)) for size in y.shape)
            places = [(i * sh - top + u, j * sw - left + v) for u, v in product(range(kh), range(kw))]
            inside = [x[n, c, r, q] for r, q in places if 0 <= r < x.shape[2] and 0 <= q < x.shape[3]]
            if name == "max_pool2d":
                assert y[n, c, i, j] == max(inside)
                continue
            padded = sum(r < x.shape[2] + bottom and q < x.shape[3] + right for r, q in places)
            count = padded if attrs["count_include_pad"] else len(inside)
            assert abs(y[n, c, i, j] - sum(inside) / count) < 1e-13


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 14, 20])
@pytest.mark.parametrize("source", [1, 2, 3, 7, 10])
def test_resampling_weights_are_contiguous_and_add_up_to_one(source: int, size: int) -> None:
    for mode in ("nearest", "bilinear", "bilinear_corners", "area"):
        weights = axis_weights(mode, source, size)
        assert weights.shape == (size, source)
        assert relative_error(weights.sum(1), np.ones(size)) < 1e-15
        assert weights.min() >= 0
        for row in weights:
            (places,) = np.nonzero(row)
            assert len(places) == places[-1] - places[0] + 1, "the places taken are neighbours"
        if mode != "area" and size == source:
            assert np.array_equal(weights, np.eye(source))


def test_bilinear_resampling_preserves_linear_functions() -> None:
    slope = np.arange(5.0)
    assert np.allclose(axis_weights("bilinear_corners", 5, 9) @ slope, np.linspace(0, 4, 9), atol=1e-15)
    assert np.allclose(axis_weights("bilinear", 5, 10) @ slope, np.clip(np.arange(10) / 2 - 0.25, 0, 4), atol=1e-15)


def test_the_hash_is_lowbias32() -> None:
    """In Python's unbounded integers; and it maps no two numbers to one."""

    def plain(x: int) -> int:
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ x >> 16

    numbers = generator("mix").integers(0, 2**32, 1000, dtype=np.uint32)
    assert mix(numbers).tolist() == [plain(int(number)) for number in numbers]
    assert len(np.unique(mix(np.arange(100_000, dtype=np.uint32)))) == 100_000


def draw(seed: int, step: int, site: int, keep: float = 0.7, shape: tuple[int, ...] = (200, 300)) -> Array:
    counters = np.int32(seed), np.int32(step)
    return np.asarray(OPS["bernoulli"].evaluate(*map(np.asarray, counters), shape=shape, keep=keep, site=site))


def test_bernoulli_has_the_given_probability() -> None:
    for keep in (0.1, 0.5, 0.7, 0.99):
        deviation = np.sqrt(keep * (1 - keep) / 60_000)
        assert abs(draw(1, 2, 3, keep).mean() - keep) < 4 * deviation
    assert draw(1, 2, 3, 1.0).min() == 1


def test_bernoulli_is_a_function_of_seed_step_and_site() -> None:
    reference = draw(1, 2, 3)
    assert np.array_equal(reference, draw(1, 2, 3))
    assert np.array_equal(reference.ravel(), draw(1, 2, 3, shape=(60_000,))), "only the row-major index counts"
    for other in (draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4), draw(-1, 2, 3)):
        correlation = np.corrcoef(reference.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(60_000)
    neighbours = np.corrcoef(reference.ravel()[1:], reference.ravel()[:-1])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(60_000)
