"""Every kernel declares the arguments of its signature, in that order."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from opsin import kernels
from opsin.kernels.argmax import ArgMax
from opsin.kernels.conv import Conv2d, ConvWindow
from opsin.kernels.conv_packed import ConvPacked
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.conv_weight import Conv2dWeight
from opsin.kernels.conv_weight_taps import ConvWeightTaps
from opsin.kernels.ctc import CTCLoss, CTCLossGradient
from opsin.kernels.depthwise import Depthwise
from opsin.kernels.depthwise_weight import DepthwiseWeight
from opsin.kernels.expression import Expression, Step
from opsin.kernels.gather import Gather, ScatterAdd
from opsin.kernels.ir import F32, I8, TARGETS, Builder, Target
from opsin.kernels.map_reduce import MapReduceByChannel
from opsin.kernels.matmul import MatMul
from opsin.kernels.matmul_wide import MatMulWide
from opsin.kernels.moments import MergeMoments, Moments
from opsin.kernels.panels import PackPanels, PanelShape
from opsin.kernels.pointwise import FLOATS, Pointwise, Stream
from opsin.kernels.pool import AvgPool, AvgPoolGradient, MaxPool, MaxPoolGradient
from opsin.kernels.quantized import AvgPoolWhole, Lookup, OffsetBias
from opsin.kernels.quantized_taps import DepthwiseWhole, PackTaps
from opsin.kernels.reduce import Combine, Reduce
from opsin.kernels.resample import Resample
from opsin.kernels.resize import ResizeSeparable
from opsin.kernels.spec import KernelSpec
from opsin.kernels.taps import Axis
from opsin.kernels.tile import Epilogue
from opsin.kernels.transpose import Transpose
from opsin.kernels.tsne_forces import TSNEForces
from opsin.kernels.warp import Warp
from opsin.kernels.windows import DENSE, ConvWindows, ConvWindowsAdd, DepthwiseWindows, PackFilters
from opsin.kernels.winograd import Winograd, WinogradFilters, WinogradOutputs, WinogradProducts
from opsin.kernels.winograd_weight import Schedule, WinogradParts, WinogradReduction, WinogradTiles, WinogradWeight

SUM = Expression(2, (Step("add", (0, 1)),), (2,))
BIAS = Epilogue(SUM, ("channel",))
WINDOW, AXIS = ConvWindow(4, 1, 3, 1, 1), Axis(3, 1, 1, 1)
SCHEDULE = Schedule(tiles=16, depth=96, max_prefetch_channels=48)
POOL = (5, (2, 2), (2, 2), True)

SPECS: list[KernelSpec] = [
    ArgMax(), AvgPool(*POOL, True), AvgPoolGradient(*POOL, True, False), Combine(), Conv2d(WINDOW, 8, 5, True, BIAS),
    Conv2dWeight(WINDOW, 8, 5, True, 64, 8), ConvPacked(WINDOW, 3, 8, 16, True, True, epilogue=BIAS),
    ConvPacked(WINDOW, 3, 8, 16, True), ConvPanels(WINDOW, 8, 5, PanelShape(3, 2), True, True, epilogue=BIAS),
    ConvPanels(WINDOW, 8, 5, PanelShape(3, 2), False), Conv2dWeight(WINDOW, 8, 5, True, 64, 8, transposed=True),
    PackPanels(8, PanelShape(3, 2), False), PackPanels(8, PanelShape(3, 2), True),
    CTCLoss(), CTCLossGradient(), Gather(5), ScatterAdd(5, BIAS), ConvWeightTaps(WINDOW, 8, 4, 2, 8, 96),
    Depthwise(8, 5, 5, AXIS, AXIS, None, BIAS), DepthwiseWeight(8, 5, 5, AXIS, AXIS, 64),
    MapReduceByChannel(SUM, ("same", "channel"), 0, 8), MapReduceByChannel(SUM, ("same", "channel"), 0, 8, True),
    MatMul(8, 4, None, BIAS), Reduce("sum", 2, 1, None, 1), Reduce("sum", 1, 2, 8, 0),
    MatMulWide(64, 4, 64, False, True, 128, 8, BIAS), MaxPool(*POOL), MaxPoolGradient(*POOL, False), MergeMoments(8),
    Moments(8), Pointwise(SUM, (FLOATS, Stream(F32, None)), (FLOATS,), 0, 0),
    Pointwise(SUM, (FLOATS, Stream(F32, None)), (FLOATS,), 2, 5), Reduce("sum", 2, 1, None), Reduce("max", 1, 2, 8),
    Resample(3), ResizeSeparable(), Transpose(2), TSNEForces(), Warp(3, True, True), Winograd(8, 8, 4, 48, BIAS),
    WinogradFilters(8, 8), WinogradOutputs(8, BIAS), WinogradParts(8, 8, SCHEDULE), WinogradProducts(8, 8, 2),
    AvgPoolWhole(*POOL, (1 << 29, 3, -128, 127)), DepthwiseWhole(8, 5, 5, AXIS, AXIS, None, 4, 2, 4), Lookup(),
    Lookup(3), OffsetBias(8), PackTaps(8, 3, ((0, 1, 2, None),)), ConvPanels(WINDOW, 8, 5, PanelShape(3, 4, I8), True),
    ConvWindows(), ConvWindowsAdd(), DepthwiseWindows(), PackFilters(DENSE),
    WinogradReduction(8, 8, 4, 2, SCHEDULE), WinogradTiles(8, False, 8, SCHEDULE), WinogradWeight(8, 8),
]  # fmt: skip


def subclasses(cls: type[KernelSpec]) -> Iterator[type[KernelSpec]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def matches(names: list[str], pattern: list[str]) -> bool:
    """Return whether `names` are those of `pattern`, in which a name with "*" stands for any number of arguments."""
    if not pattern:
        return not names
    if not pattern[0].startswith("*"):
        return bool(names) and names[0] == pattern[0] and matches(names[1:], pattern[1:])
    return any(matches(names[n:], pattern[1:]) for n in range(len(names) + 1))


@pytest.mark.parametrize("target", TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_arguments_follow_the_signature(spec: KernelSpec, target: Target) -> None:
    signature = spec.signature
    parameters = spec.build(target).parameters
    epilogue = ["e0", "y0"] if signature.epilogue and getattr(spec, "epilogue", None) == BIAS else []
    epilogue = epilogue or (["y0"] if signature.epilogue else [])
    arguments = parameters[: len(parameters) - len(epilogue)]
    assert [parameter.name for parameter in parameters[len(arguments) :]] == epilogue
    pointers = [parameter for parameter in arguments if parameter.is_buffer]
    assert arguments[: len(pointers)] == pointers, "pointers come before words"
    assert matches([parameter.name for parameter in pointers], list(signature.pointers))
    assert matches([parameter.name for parameter in arguments[len(pointers) :]], list(signature.words))
    for parameter in pointers:
        assert parameter.element == signature.elements.get(parameter.name, F32)


def test_every_kernel_is_listed() -> None:
    for module in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"opsin.kernels.{module.name}")
    declared = {cls for cls in subclasses(KernelSpec) if "signature" in vars(cls)}
    assert {cls for cls in declared if cls.__module__.startswith("opsin.kernels")} == {type(spec) for spec in SPECS}


def test_groups_are_bound_by_their_sizes() -> None:
    k = Builder("groups")
    pointers, words = Reduce("sum", 3, 2, 8).bind(k, kept=3, reduced=2, extent=0, segment=0)
    assert (len(pointers), len(words)) == (2, 7)
    names = [parameter.name for parameter in k.parameters]
    assert names == ["x", "y", "kept0", "kept1", "kept2", "reduced0", "reduced1", "shared", "block"]
