"""Windows with holes, and transposed convolutions padded beyond their stride, as the native engine computes them."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops as F
from opsin.backends.native import compile
from opsin.backends.reference import Reference
from opsin.interop.onnx.rules.shapes import pad_with
from opsin.ir import BATCH, Graph, Tensor, input_tensor
from tests.support import relative_error

X, W = input_tensor("x", (BATCH, 4, 9, 7)), input_tensor("w", (4, 3, 3, 2))
CASES: dict[str, Tensor] = {
    "max pool": F.max_pool2d(X, (3, 2), 2, 1, True, (2, 3)),
    "max pool without padding": F.max_pool2d(X, 2, 1, dilation=2),
    "mean": F.avg_pool2d(X, (3, 2), 2, 1, True, False, (2, 3)),
    "sum": F.sum_pool2d(X, 3, 2, 1, True),
    "transposed": F.conv_transpose2d(X, W, None, 1, 0, 2, 3),
    "transposed and cut": F.conv_transpose2d(X, W, None, (2, 1), 1, (2, 1), (3, 2)),
    "infinite padding": F.max_pool2d(pad_with(X, (0, 0, 1, 2), (0, 0, 0, 1), -np.inf), 3, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case: str) -> None:
    y = CASES[case]
    dx, dw = F.gradients(F.sum(F.multiply(y, y)), [X, W])
    gradients = {"dx": dx, "dw": dw}
    graph = Graph((X, W), {"y": y, **{key: g for key, g in gradients.items() if g is not None}})
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((3, 4, 9, 7)), "w": rng.standard_normal((4, 3, 3, 2))}
    wanted = Reference(graph, 3, np.float64).run(**inputs)
    found = compile(graph, 3, 2).run(**{name: array.astype(np.float32) for name, array in inputs.items()})
    assert np.isfinite(wanted["y"]).all()
    for key, array in wanted.items():
        assert relative_error(found[key], array) < 1e-5, key
