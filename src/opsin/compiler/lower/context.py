"""What the lowering rules share: the views made so far, the calls made so far, and how to make more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import prod

import numpy as np

from opsin.compiler.calls import CHUNK, FREE, IMAGE, AccessSet, Argument, KernelCall, own_images
from opsin.compiler.lower.loop_nest import merged_loops, nest
from opsin.compiler.views import Buffer, View, channels_last, dense_strides, row_major
from opsin.ir import INT, Tensor
from opsin.kernels.expression import IDENTITY, Expression, Step
from opsin.kernels.ir import F32, I32, Target
from opsin.kernels.pointwise import Pointwise
from opsin.kernels.reduce import Combine
from opsin.kernels.spec import KernelSpec
from opsin.kernels.transpose import Transpose

BLOCK = 4096
"""Elements of a block of a pointwise kernel that does not go image by image."""
TRANSPOSED = 2**14
"""Elements from which on a copy that turns an array goes square by square."""


class Lowering:
    """The state of lowering one graph. Rules read operands with `view`, and give results with `bind`."""

    def __init__(
        self,
        batch: int,
        chunk: int,
        target: Target,
        exact: bool,
        choices: Mapping[str, str],
        fixed: Collection[Tensor],
    ) -> None:
        """`choices` are ways of convolutions, by problem; `fixed` are tensors that are the same in every run."""
        self.batch, self.chunk, self.target, self.exact = batch, chunk, target, exact
        self.choices, self.fixed = choices, fixed
        self.views: dict[Tensor, View] = {}
        self.calls: list[KernelCall] = []
        self.scope = ""
        self.label = ""
        self.timed = False

    @property
    def chunks(self) -> int:
        """How many chunks of images the batch has."""
        return -(-self.batch // self.chunk)

    # -- views --------------------------------------------------------------------------------

    def view(self, tensor: Tensor) -> View:
        """Where `tensor` lies; constants get a table."""
        if tensor not in self.views:
            node = tensor.node
            if node.op.name != "constant":
                raise KeyError(f"{node} has not been computed")
            dtype = np.int32 if tensor.dtype == INT else np.float32
            self.views[tensor] = self.table(np.array(node.attrs["value"], dtype))
        return self.views[tensor]

    def bind(self, tensor: Tensor, view: View) -> None:
        self.views[tensor] = view

    def table(self, data: np.ndarray) -> View:
        """Constant data, row-major."""
        element = I32 if data.dtype == np.int32 else F32
        buffer = Buffer(data.size, element, "table", data=np.ascontiguousarray(data))
        return View(buffer, data.shape, dense_strides(data.shape, row_major(data.ndim)))

    def new(self, shape: Sequence[int], order: Sequence[int] | None = None, element: str = F32) -> View:
        """Fresh memory, dense in `order` (channels last for images)."""
        shape = tuple(shape)
        order = channels_last(len(shape)) if order is None else tuple(order)
        return View(Buffer(prod(shape), element, "temporary"), shape, dense_strides(shape, order))

    def dense(self, view: View, order: Sequence[int]) -> View:
        """`view` itself if it lies gapless in `order`, otherwise a copy that does."""
        return view if view.is_dense(tuple(order)) else self.copy(view, order)

    def image(self, tensor: Tensor) -> View:
        """N C H W, channels innermost in memory."""
        return self.dense(self.view(tensor), channels_last(4))

    def copy(self, view: View, order: Sequence[int]) -> View:
        result = self.new(view.shape, order, view.buffer.element)
        if not self._transpose(view, result):
            self.pointwise(IDENTITY, [view], [result])
        return result

    def _transpose(self, view: View, result: View) -> bool:
        """Copies `view` if it is large and contiguous along another dimension than `result`; whether it did."""
        loops = merged_loops(view.shape, [view.strides, result.strides], 1)
        lying = [d for d, (n, (x, _)) in enumerate(loops) if x == 1 and n >= self.target.lanes]
        if view.size < TRANSPOSED or view.buffer.element != F32 or not lying or lying[0] == len(loops) - 1:
            return False
        along, (columns, (x_step, _)) = lying[0], loops[-1]
        rows, (_, y_step) = loops[along]
        outer = [loop for d, loop in enumerate(loops[:-1]) if d != along]
        words = [n for n, _ in outer] + [x for _, (x, _) in outer] + [y for _, (_, y) in outer]
        blocks = prod(n for n, _ in outer) * -(-rows // Transpose.ROWS)
        spec = Transpose(len(outer))
        self.free(spec, [view, result, *words, rows, columns, x_step, y_step], [view], [result], blocks)
        return True

    # -- calls --------------------------------------------------------------------------------

    def call(
        self,
        spec: KernelSpec,
        arguments: Sequence[Argument],
        trail_in: AccessSet,
        trail_out: AccessSet,
        split: str,
        blocks: int,
        scratch: int = 0,
        macs: int = 0,
    ) -> None:
        self.calls.append(
            KernelCall(
                spec, tuple(arguments), split, blocks, trail_in.touched, trail_out.touched, scratch,
                self.scope, self.label or type(spec).__name__, macs, timed=self.timed,
            )
        )  # fmt: skip

    def trail(self, *views: View, whole: Sequence[View] = ()) -> AccessSet:
        """What a call touches: `views` image by image where they allow it, `whole` ones all at once."""
        trail = AccessSet(self.batch)
        for view in views:
            trail.note(view)
        trail.touched.update(dict.fromkeys([view.buffer for view in whole], False))
        return trail

    def per_image(
        self,
        spec: KernelSpec,
        arguments: Sequence[Argument],
        reads: Sequence[View],
        writes: Sequence[View],
        shared: Sequence[View] = (),
        blocks: int = 1,
        scratch: int = 0,
        macs: int = 0,
    ) -> None:
        """A kernel with `blocks` blocks for each index of dimension 0 (an image); `shared` is read whole by each."""
        trail = self.trail(*reads, whole=shared)
        count = writes[0].shape[0]
        if count != self.batch:
            self.free(spec, arguments, [*reads, *shared], writes, blocks * count, scratch, macs)
            return
        self.call(spec, arguments, trail, self.trail(*writes), IMAGE, blocks, scratch, macs)

    def per_chunk(
        self,
        spec: KernelSpec,
        arguments: Sequence[Argument],
        reads: Sequence[View],
        writes: Sequence[View],
        shared: Sequence[View] = (),
        scratch: int = 0,
        macs: int = 0,
    ) -> None:
        """A kernel whose block is a chunk of images. What it writes is either the images' own or partial."""
        trail = self.trail(*reads, whole=shared)
        self.call(spec, arguments, trail, self.trail(*writes), CHUNK, self.chunks, scratch, macs)

    def free(
        self,
        spec: KernelSpec,
        arguments: Sequence[Argument],
        reads: Sequence[View],
        writes: Sequence[View],
        blocks: int = 1,
        scratch: int = 0,
        macs: int = 0,
    ) -> None:
        """A kernel whose blocks do not follow the batch."""
        self.call(spec, arguments, self.trail(whole=reads), self.trail(whole=writes), FREE, blocks, scratch, macs)

    def combine(self, partial: View, result: View) -> None:
        """Adds the rows of `partial` (parts × elements), in order."""
        parts, count = partial.shape
        block = min(1024, count)
        self.free(Combine(), [partial, result, count, parts, block], [partial], [result], -(-count // block))

    # -- pointwise ----------------------------------------------------------------------------

    def fill(self, view: View, value: float) -> None:
        """Every element of `view` set to `value`."""
        place = View(Buffer(0, "place", "place"), view.shape, (0,) * len(view.shape))
        self.pointwise(Expression(1, (Step("constant", (0,), value),), (1,)), [place], [view])

    def pointwise(self, expression: Expression, operands: Sequence[View], results: Sequence[View]) -> None:
        """`results = expression(operands)`, all of the results' shape; operands of element `place` are indices."""
        views = [*operands, *results]
        elements = tuple([view.buffer.element for view in views])
        loops = nest(results[0].shape, elements, tuple([view.strides for view in views]), len(operands))
        outer, inner = loops.extents[:-1], loops.extents[-1] if len(loops.extents) > 1 else 0
        streams, count = loops.streams, loops.extents[0] if loops.extents else 1
        spec = Pointwise(expression, streams[: len(operands)], streams[len(operands) :], len(outer), inner)
        by_image = all(own_images(view, self.batch) for view in results)
        arguments: list[Argument] = [view for view in views if view.buffer.element != "place"]
        if outer:
            blocks = count // self.batch if by_image else count
        else:
            block = count // self.batch if by_image else min(BLOCK, count)
            blocks = 1 if by_image else -(-count // block)
            arguments += [count, block]
        arguments += loops.words
        reads = [view for view in operands if view.buffer.element != "place"]
        if by_image:
            self.per_image(spec, arguments, reads, list(results), blocks=blocks)
        else:
            self.free(spec, arguments, reads, list(results), blocks=blocks)
