"""The index of the maximum along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import I32, INDEX, Builder, Kernel, ScalarType, Target, Value
from opsin.kernels.spec import KernelSpec, Signature


def is_better(k: Builder, value: Value, maximum: Value) -> Value:
    """Return whether `value` replaces the maximum so far, `maximum`: if it is greater or the first NaN."""
    return ((value <= maximum) ^ 1) & k.equal(maximum, maximum)


@dataclass(frozen=True)
class ArgMax(KernelSpec):
    """The index of the maximum along one axis: the first of equal ones; a NaN counts as greater than all numbers.

    The results y (i32) are dense, `count` of them. Result `p` is for the `length` elements of x (at least 1),
    `axis_stride` apart, from (p // inner) · outer_stride + (p % inner) · inner_stride on. If all positions have a
    single stride, inner = 1 and inner_stride = 0. Strides count elements. A block is `block` results.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y"),
        ("count", "length", "block", "inner", "outer_stride", "inner_stride", "axis_stride"),
        elements={"y": I32},
    )

    def build(self, target: Target) -> Kernel:
        k = Builder("argmax")
        (x, y), (count, length, block, inner, outer_stride, inner_stride, axis_stride) = self.bind(k)
        with k.loop(k.begin * block, k.minimum(k.end * block, count)) as p:
            line = k.offset(x, p // inner * outer_stride + p % inner * inner_stride)
            maximum = k.register(k.load(line, 0))
            argmax = k.register(k.constant(0, ScalarType(INDEX)))
            with k.loop(1, length) as i:
                value = k.load(line, i * axis_stride)
                with k.when(is_better(k, value, maximum.get())):
                    maximum.set(value)
                    argmax.set(i)
            k.store(y, p, k.convert("i32", argmax.get()))
        return k.kernel()
