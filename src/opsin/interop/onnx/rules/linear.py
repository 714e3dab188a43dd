"""Import rules of matrix products."""

from __future__ import annotations

from opsin import ops
from opsin.interop.onnx.call import OnnxCall, UnsupportedError
from opsin.interop.onnx.rules.registry import rule
from opsin.ir import Tensor, product


@rule("Gemm")
def _gemm(call: OnnxCall) -> Tensor:
    """Convert Gemm: alpha · A B + beta · C, with A and B transposed if `transA` and `transB` say so."""
    a, b = call.tensor(0), call.weight(1)
    y = ops.matmul(a, b, bool(call.attr_int("transA", 0)), bool(call.attr_int("transB", 0)))
    alpha, beta = call.attr_float("alpha", 1.0), call.attr_float("beta", 1.0)
    y = y if alpha == 1 else ops.multiply(y, alpha)
    if not call.has(2):
        return y
    c = call.weight(2)
    return ops.add(y, c if beta == 1 else ops.multiply(c, beta))


@rule("MatMul")
def _matmul(call: OnnxCall) -> Tensor:
    a, b = call.weight(0), call.weight(1)
    if a.rank < 2 or b.rank != 2:
        raise UnsupportedError(f"the product of {a.type} and {b.type}; … × k by k × n is supported")
    rows = ops.reshape(a, (product(a.shape[:-1]), a.shape[-1]))
    return ops.reshape(ops.matmul(rows, b), (*a.shape[:-1], b.shape[1]))
