"""Matrix products."""

from __future__ import annotations

from opsin import ops
from opsin.interop.onnx.call import OnnxCall, Unsupported
from opsin.interop.onnx.rules.table import rule
from opsin.ir import Tensor, product


@rule("Gemm")
def _gemm(call: OnnxCall) -> Tensor:
    """alpha · a b + beta · c, a and b transposed if asked for."""
    a, b = call.tensor(0), call.weight(1)
    y = ops.matmul(a, b, bool(call.whole("transA", 0)), bool(call.whole("transB", 0)))
    alpha, beta = call.real("alpha", 1.0), call.real("beta", 1.0)
    y = y if alpha == 1 else ops.multiply(y, alpha)
    if not call.has(2):
        return y
    c = call.weight(2)
    return ops.add(y, c if beta == 1 else ops.multiply(c, beta))


@rule("MatMul")
def _matmul(call: OnnxCall) -> Tensor:
    a, b = call.weight(0), call.weight(1)
    if a.rank < 2 or b.rank != 2:
        raise Unsupported(f"the product of {a.type} and {b.type}; that of … × k and k × n is")
    rows = ops.reshape(a, (product(a.shape[:-1]), a.shape[-1]))
    return ops.reshape(ops.matmul(rows, b), (*a.shape[:-1], b.shape[1]))
