"""Convolutions of 8-bit integers with kernels that all layers share (`kernels/windows.py`)."""

from __future__ import annotations

from typing import Any

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import Geometry
from opsin.compiler.lower.pointwise import LoweredEpilogue
from opsin.compiler.views import Buffer, View
from opsin.ir import Node
from opsin.kernels.expression import Step
from opsin.kernels.ir import I8
from opsin.kernels.spec import KernelSpec
from opsin.kernels.tile import Epilogue
from opsin.kernels.windows import (
    ADD_WORDS,
    BY_CHANNEL,
    DENSE,
    SCALE_WORDS,
    ConvWindows,
    ConvWindowsAdd,
    DepthwiseWindows,
    Layout,
    PackFilters,
)

SUM, BIAS, SCALE, SKIP = range(4)
"""The operands of an epilogue."""


def scaling(epilogue: Epilogue) -> dict[str, int] | None:
    """Return the words for an epilogue that scales sums and perhaps adds another array, None for any other one."""
    kinds, steps = epilogue.operands, epilogue.expression.steps
    adds, count = len(steps) == 2, len(kinds) + 1
    if kinds != ("channel", "channel", "same")[: 2 + adds] or epilogue.expression.results != (count + len(steps) - 1,):
        return None
    if not steps or (steps[0].function, steps[0].arguments) != ("requantize", (SUM, BIAS, SCALE)):
        return None
    words = dict(zip(SCALE_WORDS, _whole(steps[0]), strict=True))
    if not adds:
        return words
    added, operands = steps[1], (count, SKIP)
    if added.function != "add_int8" or added.arguments not in (operands, operands[::-1]):
        return None
    factors, rest = _whole(added)[:2], _whole(added)[2:]
    return words | dict(zip(ADD_WORDS, (*factors[:: 1 if added.arguments == operands else -1], *rest), strict=True))


def _whole(step: Step) -> tuple[int, ...]:
    """Return the attribute of a step that computes with whole numbers."""
    assert isinstance(step.attribute, tuple)
    return tuple(int(number) for number in step.attribute)


def _window_words(geometry: Geometry, x_zero: int) -> dict[str, int]:
    (kh, kw), (sh, sw), (dh, dw), (out_height, out_width) = (
        geometry.kernel, geometry.stride, geometry.dilation, geometry.out
    )  # fmt: skip
    return {
        "H": geometry.height, "W": geometry.width, "OH": out_height, "OW": out_width, "kh": kh, "kw": kw, "sh": sh,
        "sw": sw, "dh": dh, "dw": dw, "top": geometry.top, "left": geometry.left, "pixel": geometry.window.pixel,
        "x_zero": x_zero,
    }  # fmt: skip


def convolve(
    lowering: Lowering, x: View, w: View, geometry: Geometry, epilogue: LoweredEpilogue, words: dict[str, int],
    x_zero: int, macs: int,
) -> list[KernelCall]:  # fmt: skip
    """Return the calls for one group of channels, with the weights w (K C kh kw) in the order kh kw C K."""
    filters, channels = geometry.filters, geometry.window.channels
    terms, step = channels * geometry.kernel[0] * geometry.kernel[1], filters * geometry.groups
    u, packing = _packed(lowering, w, epilogue, DENSE, (terms, filters, step))
    spec = ConvWindowsAdd() if len(epilogue.operands) > 2 else ConvWindows()
    words = _window_words(geometry, x_zero) | {"channels": channels, "filters": filters, "out_pixel": step} | words
    return [packing, _call(lowering, spec, x, u, epilogue, words, spec.scratch_words(terms), macs)]


def depthwise(
    lowering: Lowering, node: Node, x: View, w: View, epilogue: LoweredEpilogue, words: dict[str, int]
) -> list[KernelCall]:
    """Return the calls for one kernel for each channel, with the weights w (K 1 kh kw) in the order kh kw K."""
    out_height, out_width = epilogue.results[0].shape[2:]
    attrs: dict[str, Any] = node.attrs
    geometry = Geometry(x.shape, w.shape[0], w.shape[2:], (out_height, out_width), attrs)  # type: ignore[arg-type]
    taps, channels, spec = geometry.kernel[0] * geometry.kernel[1], x.shape[1], DepthwiseWindows()
    u, packing = _packed(lowering, w, epilogue, BY_CHANNEL, (taps, channels, channels))
    words, macs = _window_words(geometry, attrs["x_zero"]) | words, int(node.op.macs(node))  # type: ignore[arg-type]
    return [packing, _call(lowering, spec, x, u, epilogue, words, spec.scratch_words(channels, taps), macs)]


def _packed(
    lowering: Lowering, w: View, epilogue: LoweredEpilogue, layout: Layout, words: tuple[int, int, int]
) -> tuple[View, KernelCall]:
    """Return the weights with biases and scales; `words` are the terms, the filters, and the distance of terms."""
    (terms, filters, step), (bias, scale) = words, epilogue.operands[:2]
    size = layout.size(filters, terms)
    u = View(Buffer(size, I8, "temporary"), (size,), (1,))
    call = lowering.call(
        PackFilters(layout),
        pointers={"w": w, "bias": bias, "scale": scale, "u": u},
        words={"terms": terms, "filters": filters, "step": step},
        blocks=layout.filters(filters),
        reads=[w, bias, scale],
        writes=[u],
    )
    return u, call


def _call(
    lowering: Lowering, spec: KernelSpec, x: View, u: View, epilogue: LoweredEpilogue, words: dict[str, int],
    scratch: int, macs: int,
) -> KernelCall:  # fmt: skip
    names = spec.signature.pointers[2:]
    return lowering.call(
        spec,
        pointers={"x": x, "u": u, **dict(zip(names, epilogue.arguments[2:], strict=True))},
        words=words,
        partition=Partition.PER_SAMPLE,
        blocks=words["OH"],
        reads=[x, *epilogue.per_sample],
        shared=[u],
        writes=epilogue.results,
        scratch=scratch,
        macs=macs,
    )
