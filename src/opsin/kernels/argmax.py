"""The place of the maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import I32, INDEX, Builder, Kernel, ScalarType, Target, Value
from opsin.kernels.spec import KernelSpec, Signature


def is_better(k: Builder, value: Value, best: Value) -> Value:
    """Where `value` takes the place of the maximum `best` so far: it is greater, or the first NaN."""
    return ((value <= best) ^ 1) & k.equal(best, best)


@dataclass(frozen=True)
class ArgMax(KernelSpec):
    """Where the maximum along one axis is: the first of equals; a NaN counts as greater than all numbers.

    The results y (i32) are dense, `count` of them. Result `p` is that of the `length` elements of x, one
    `axis_stride` after another, from (p // inner) · outer_stride + (p % inner) · inner_stride on: `inner`
    positions beside each other follow one stride, and groups of them another. (One stride for all
    positions: inner = 1, inner_stride = 0.) Strides count elements; `length` is at least 1.

    Arguments: x, y, count, length, block, inner, outer_stride, inner_stride, axis_stride. A block is
    `block` results.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y"),
        ("count", "length", "block", "inner", "outer_stride", "inner_stride", "axis_stride"),
        elements={"y": I32},
    )

    def build(self, target: Target) -> Kernel:
        k = Builder("argmax")
        x, y = k.buffer("x"), k.buffer("y", I32)
        count, length, block, inner = (k.index(name) for name in ("count", "length", "block", "inner"))
        outer_stride, inner_stride, axis_stride = (k.index(f"{name}_stride") for name in ("outer", "inner", "axis"))
        with k.loop(k.begin * block, k.minimum(k.end * block, count)) as p:
            line = k.offset(x, p // inner * outer_stride + p % inner * inner_stride)
            best = k.register(k.load(line, 0))
            winner = k.register(k.constant(0, ScalarType(INDEX)))
            with k.loop(1, length) as i:
                value = k.load(line, i * axis_stride)
                with k.when(is_better(k, value, best.get())):
                    best.set(value)
                    winner.set(i)
            k.store(y, p, k.convert("i32", winner.get()))
        return k.kernel()
