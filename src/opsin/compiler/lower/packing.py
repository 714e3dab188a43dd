"""Weights in panels, for the kernels that read them sequentially."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.views import Buffer, View, row_major
from opsin.kernels.panels import PackPanels, PanelShape


def pack_panels(lowering: Lowering, w: View, shape: PanelShape) -> ViewAndCalls:
    """Return weights w (kh kw C K), of any strides, in panels of K."""
    is_transposed, copies = w.strides[2] == 1 != w.strides[3], list[KernelCall]()
    if w.strides[3] != 1 and not is_transposed:
        w, copies = lowering.copy(w, row_major(4))
    height, width, channels, filters = w.shape
    panels = shape.count(filters, lowering.target)
    size = panels * height * width * shape.depth(channels) * shape.columns(lowering.target)
    u = View(Buffer(size, shape.element, "temporary"), (size,), (1,))
    kh_stride, kw_stride, *steps = w.strides
    strides = {"kh_stride": kh_stride, "kw_stride": kw_stride, "step": steps[is_transposed]}
    pack = lowering.call(
        PackPanels(filters, shape, is_transposed),
        pointers={"w": w, "u": u},
        words={"kh": height, "kw": width, "depth": channels, **strides},
        blocks=panels,
        reads=[w],
        writes=[u],
    )
    return u, [*copies, pack]
