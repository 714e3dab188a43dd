"""Sums of up to eight million elements have the accuracy of float32, bit-identical on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin import ops as F
from opsin.backends.native import Native, codegen
from opsin.compiler.execution_plan import make_plan
from opsin.ir import Graph, Tensor, input_tensor
from opsin.kernels.ir import Target

TOLERANCE = 2.5e-7
each_target = pytest.mark.parametrize("target", codegen.host().targets, ids=lambda row: row.name)


def run(y: Tensor, target: Target, batch: int, **arrays: np.ndarray) -> np.ndarray:
    """Return the result on one thread; check that two and three give bit-identical ones."""
    inputs = tuple(input_tensor(name, array.shape) for name, array in arrays.items())
    plan = make_plan(Graph(inputs, {"y": y}), batch, target)
    results = [np.array(Native(plan, threads, target).run(**arrays)["y"]) for threads in (1, 2, 3)]
    assert len({result.tobytes() for result in results}) == 1
    return results[0]


@each_target
@pytest.mark.parametrize("shape", [(2, 8, 176, 176), (2, 32, 192, 191), (2, 64, 250, 250)], ids=str)
def test_mean_squared_error(shape: tuple[int, ...], target: Target) -> None:
    rng = np.random.default_rng(0)
    p, t = (rng.standard_normal(shape, np.float32) for _ in range(2))
    loss = nn.losses.mean_squared_error(input_tensor("p", shape), input_tensor("t", shape))
    expected = np.square(p - t).mean(dtype=np.float64)
    np.testing.assert_allclose(run(loss, target, 2, p=p, t=t), expected, rtol=TOLERANCE)


@each_target
@pytest.mark.parametrize(
    ("batch", "shape", "axes"),
    [
        (1, (1, 3, 1000, 1000), (0, 2, 3)),  # Vectors of channels.
        (2, (2, 16, 512, 512), (0, 2, 3)),  # In the sweep that computes the summands.
        (3, (3, 700, 701), (1, 2)),  # Rows.
        (2, (2, 500, 5, 603), (0, 1, 3)),  # Long rows, of which each chunk adds one for each result.
        (1, (600, 5, 603), (0, 2)),  # Many short rows for each result.
    ],
    ids=str,
)
def test_sums_along_axes(batch: int, shape: tuple[int, ...], axes: tuple[int, ...], target: Target) -> None:
    x = np.random.default_rng(1).random(shape, np.float32)
    y = input_tensor("x", shape)
    expected = np.square(x).sum(axes, dtype=np.float64)
    np.testing.assert_allclose(run(F.sum(F.multiply(y, y), axes), target, batch, x=x), expected, rtol=TOLERANCE)
