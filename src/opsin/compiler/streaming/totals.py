"""Windows as tall as the image: rows are added as they come, instead of being kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from opsin.compiler.calls import KernelCall
from opsin.compiler.lower.context import Lowering
from opsin.compiler.streaming.stages import Rhythm, Stage, Window
from opsin.compiler.views import Buffer, View
from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import I32
from opsin.kernels.quantized import AvgPoolWhole
from opsin.kernels.row_form import RowForm

ADD = Expression(2, (Step("add", (0, 1)),), (2,))


def total_of(call: KernelCall, rhythms: Mapping[Buffer, Rhythm], lowering: Lowering) -> tuple[Stage, KernelCall] | None:
    """Return a stage that adds up the rows of an image, and the call that finishes a mean over it; None for others.

    Sums of whole numbers do not depend on their order, so the results are the same.
    """
    if not isinstance(call.spec, AvgPoolWhole):
        return None
    x, y, height, *words = call.arguments
    if not isinstance(x, View) or x.buffer not in rhythms or call.spec.window[0] != height or call.spec.clamp:
        return None
    source = rhythms[x.buffer]
    _, channels, rows, width = x.shape
    if source.count != rows or rows != height:
        return None
    row = View(x.buffer, (1, channels, 1, width), x.strides)
    total = lowering.new(row.shape, None, I32)
    add = lowering.pointwise(ADD, [row, total], [total])
    form = RowForm(add.spec, tuple(a for a in add.arguments if isinstance(a, int)), add.blocks, source.count)
    described = add.described(call.scope, "sum of rows", call.direction)
    stage = Stage(described, form, {0: Window(x.buffer)}, total.buffer, source, accumulates=True)
    spec = replace(call.spec, window=(1, call.spec.window[1])).typed({"x": I32})
    finish = replace(
        call, spec=spec, arguments=(total, y, 1, *words), reads={total.buffer: False, **_without(call.reads, x.buffer)}
    )
    return stage, finish


def _without(accesses: Mapping[Buffer, bool], buffer: Buffer) -> dict[Buffer, bool]:
    return {each: access for each, access in accesses.items() if each is not buffer}
