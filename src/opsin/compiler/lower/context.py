"""The context of the lowering rules: the views of tensors in memory, and calls of kernels.

A rule returns the calls that compute its node, in order. Helpers that may have to copy return a view together with the
calls that fill it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

import numpy as np

from opsin.compiler.calls import (
    NO_WORDS,
    AccessSet,
    KernelCall,
    Partition,
    Pointers,
    Words,
    bind_arguments,
    is_per_sample,
    with_elements,
)
from opsin.compiler.cost_model import EPYC_ZEN3, CostModel
from opsin.compiler.lower.conv_algorithms import ConvSelection
from opsin.compiler.lower.loop_nest import loop_nest, merged_loops
from opsin.compiler.views import ELEMENTS, Buffer, View, channels_last, dense_strides, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.expression import IDENTITY, Expression, Step
from opsin.kernels.ir import BF16, DTYPES, F32, Target
from opsin.kernels.pointwise import Pointwise
from opsin.kernels.reduce import Combine
from opsin.kernels.spec import KernelSpec
from opsin.kernels.transpose import Transpose

ViewAndCalls: TypeAlias = "tuple[View, list[KernelCall]]"
"""A view, and the calls that fill it: none if nothing had to be copied."""


@dataclass
class Lowering:
    """The context of lowering one bound graph: rules read operands with `view`, and set results with `bind`."""

    batch: int
    chunk: int
    target: Target
    selections: Mapping[Node, ConvSelection] = field(default_factory=dict)
    """The algorithms of the graph's convolutions."""
    costs: CostModel = EPYC_ZEN3
    narrow: Collection[Tensor] = frozenset()
    """The tensors that are stored as bfloat16 (see `compiler.precision`)."""
    views: dict[Tensor, View] = field(default_factory=dict)
    biases: dict[Node, View] = field(default_factory=dict)
    """What is added to the sums of convolutions of whole numbers, as their kernels compute them."""

    @property
    def chunks(self) -> int:
        """The number of chunks of samples in the batch."""
        return -(-self.batch // self.chunk)

    # -- views --------------------------------------------------------------------------------

    def view(self, tensor: Tensor) -> View:
        """Return the view of `tensor`; constants get a table."""
        if tensor not in self.views:
            node = tensor.node
            if node.op.name != "constant":
                raise KeyError(f"{node} has not been computed")
            dtype = DTYPES[ELEMENTS[tensor.dtype]]
            self.views[tensor] = self.table(np.array(node.attrs["value"], dtype))
        return self.views[tensor]

    def bind(self, tensor: Tensor, view: View) -> None:
        """Set the view of `tensor`."""
        self.views[tensor] = view

    def table(self, data: np.ndarray) -> View:
        """Return a view of constant data, row-major."""
        element = next(e for e in ELEMENTS.values() if data.dtype == DTYPES[e])
        buffer = Buffer(data.size, element, "table", data=np.ascontiguousarray(data))
        return View(buffer, data.shape, dense_strides(data.shape, row_major(data.ndim)))

    def new(self, shape: Sequence[int], order: Sequence[int] | None = None, element: str = F32) -> View:
        """Return new memory, dense in `order` (channels last for images)."""
        shape = tuple(shape)
        order = channels_last(len(shape)) if order is None else tuple(order)
        return View(Buffer(prod(shape), element, "temporary"), shape, dense_strides(shape, order))

    def result(self, tensor: Tensor, order: Sequence[int] | None = None) -> View:
        """Return new memory for `tensor`, dense in `order`, of the elements that it is stored as."""
        element = BF16 if tensor in self.narrow else ELEMENTS[tensor.dtype]
        return self.new(tensor.shape, order, element)  # type: ignore[arg-type]

    def wide(self, view: View) -> ViewAndCalls:
        """Return `view` itself, or a copy in float32 if it holds bfloat16."""
        if not view.is_narrow:
            return view, []
        result = self.new(view.shape, view.order)
        return result, [self.pointwise(IDENTITY, [view], [result])]

    def multiplies_pairs(self, *images: View) -> bool:
        """Whether the processor multiplies pairs of numbers of `images`, because all of them hold bfloat16."""
        return self.target.bf16_dot and all(view.is_narrow for view in images)

    def dense(self, view: View, order: Sequence[int]) -> ViewAndCalls:
        """Return `view` itself if it is dense in `order`, and otherwise a copy that is."""
        return (view, []) if view.is_dense(tuple(order)) else self.copy(view, order)

    def image(self, tensor: Tensor) -> ViewAndCalls:
        """Return an N C H W tensor with the channels innermost in memory."""
        return self.dense(self.view(tensor), channels_last(4))

    def copy(self, view: View, order: Sequence[int]) -> ViewAndCalls:
        """Return a copy of `view` that is dense in `order`."""
        result = self.new(view.shape, order, view.buffer.element)
        call = self._transpose(view, result) or self.pointwise(IDENTITY, [view], [result])
        return result, [call]

    def _transpose(self, view: View, result: View) -> KernelCall | None:
        """Copy `view` square by square if it is large, and contiguous along another dimension than `result`."""
        loops = merged_loops(view.shape, [view.strides, result.strides], 1)
        contiguous_loops = [d for d, (n, (x, _)) in enumerate(loops) if x == 1 and n >= self.target.lanes]
        if (
            view.size < self.costs.transpose_min_elements
            or view.buffer.element not in (F32, BF16)
            or not contiguous_loops
            or contiguous_loops[0] == len(loops) - 1
        ):
            return None
        row_loop, (columns, (x_step, _)) = contiguous_loops[0], loops[-1]
        rows, (_, y_step) = loops[row_loop]
        outer = [loop for d, loop in enumerate(loops[:-1]) if d != row_loop]
        extents = [n for n, _ in outer]
        return self.call(
            Transpose(len(outer)),
            pointers={"x": view, "y": result},
            words={
                "extents": extents,
                "x_strides": [x for _, (x, _) in outer],
                "y_strides": [y for _, (_, y) in outer],
                "rows": rows,
                "columns": columns,
                "x_step": x_step,
                "y_step": y_step,
            },
            blocks=prod(extents) * -(-rows // Transpose.ROWS),
            reads=[view],
            writes=[result],
        )

    # -- calls --------------------------------------------------------------------------------

    def call(
        self,
        spec: KernelSpec,
        *,
        pointers: Pointers,
        words: Words = NO_WORDS,
        epilogue: Sequence[View] = (),
        partition: Partition = Partition.ANY,
        blocks: int = 1,
        reads: Sequence[View],
        writes: Sequence[View],
        shared: Sequence[View] = (),
        scratch: int = 0,
        macs: int = 0,
    ) -> KernelCall:
        """Return a call of `spec`; raise `TypeError` if its arguments are not those of its signature.

        `shared` views are read as a whole by every block. `blocks` counts those of a sample for `PER_SAMPLE`, which
        becomes `ANY` if dimension 0 of the results is not the batch; `PER_CHUNK` has one for each chunk.
        """
        if partition is Partition.PER_SAMPLE and writes[0].shape[0] != self.batch:
            partition, blocks = Partition.ANY, blocks * writes[0].shape[0]
        elif partition is Partition.PER_CHUNK:
            blocks = self.chunks
        if partition is Partition.ANY:
            reads, shared = (), (*reads, *shared)
        write_accesses = self._accesses((), writes) if partition is Partition.ANY else self._accesses(writes, ())
        spec = with_elements(spec, pointers, epilogue)
        return KernelCall(
            spec,
            bind_arguments(spec, pointers, words, epilogue),
            partition,
            blocks,
            reads=self._accesses(reads, shared),
            writes=write_accesses,
            scratch=scratch,
            macs=macs,
        )

    def _accesses(self, views: Sequence[View], shared: Sequence[View]) -> dict[Buffer, bool]:
        """Return what a call touches: `views` sample by sample if their layouts allow it, `shared` ones as a whole."""
        accesses = AccessSet(self.batch)
        for view in views:
            accesses.add(view)
        for view in shared:
            accesses.add_shared(view)
        return accesses.touched

    def combine(self, partial: View, result: View) -> KernelCall:
        """Return a call that adds the rows of `partial` (parts × elements), in order."""
        parts, count = partial.shape
        block = min(self.costs.combine_block, count)
        return self.call(
            Combine(),
            pointers={"partial": partial, "y": result},
            words={"count": count, "parts": parts, "block": block},
            blocks=-(-count // block),
            reads=[partial],
            writes=[result],
        )

    # -- pointwise ----------------------------------------------------------------------------

    def fill(self, view: View, value: float) -> KernelCall:
        """Return a call that sets every element of `view` to `value`."""
        index = View(Buffer(0, "place", "place"), view.shape, (0,) * len(view.shape))
        name = "constant" if view.buffer.element in (F32, BF16) else "whole"
        return self.pointwise(Expression(1, (Step(name, (0,), value),), (1,)), [index], [view])

    def pointwise(self, expression: Expression, operands: Sequence[View], results: Sequence[View]) -> KernelCall:
        """Return a call for `results = expression(operands)`, all of one shape; `place` operands are indices."""
        views = [*operands, *results]
        elements = tuple([view.buffer.element for view in views])
        loops = loop_nest(results[0].shape, elements, tuple([view.strides for view in views]), len(operands))
        outer, inner = loops.extents[:-1], loops.extents[-1] if len(loops.extents) > 1 else 0
        streams, count = loops.streams, loops.extents[0] if loops.extents else 1
        per_sample = all(is_per_sample(view, self.batch) for view in results)
        limits: list[int] = []
        if outer:
            blocks = count // self.batch if per_sample else count
        else:
            block = count // self.batch if per_sample else min(self.costs.pointwise_block, count)
            blocks = 1 if per_sample else -(-count // block)
            limits = [count, block]
        return self.call(
            Pointwise(expression, streams[: len(operands)], streams[len(operands) :], len(outer), inner),
            pointers={"streams": [view for view in views if view.buffer.element != "place"]},
            words={"limits": limits, "strides": loops.words},
            partition=Partition.PER_SAMPLE if per_sample else Partition.ANY,
            blocks=blocks,
            reads=[view for view in operands if view.buffer.element != "place"],
            writes=list(results),
        )
