"""Convolution problems, the algorithms that solve them, and their selection.

A `ConvProblem` is a convolution in one direction, with all its sizes. The heuristic chooses the algorithm that should
be the fastest for these sizes, by the thresholds of a `CostModel`; algorithms that were tuned on a machine override it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from types import MappingProxyType
from typing import Any, Self, TypeAlias, cast

from opsin.base.concurrency import lazy
from opsin.base.legacy import CONV_ALGORITHMS
from opsin.compiler.cost_model import EPYC_ZEN3, CostModel
from opsin.compiler.lower.geometry import Geometry, is_depthwise
from opsin.compiler.passes import DGRAD, FPROP, WGRAD
from opsin.ir import Graph, Node, Tensor
from opsin.kernels.ir import Target
from opsin.kernels.panels import PanelShape
from opsin.kernels.tiles import fills_tiles
from opsin.kernels.transforms import POINTS, STEP

Pair: TypeAlias = "tuple[int, int]"

DIRECTIONS = {"conv2d": FPROP, "conv_transpose2d": DGRAD, "conv2d_weight": WGRAD}
"""The pass that each of the three convolutions is in the training of a network, by operation."""

ConvAlgorithms: TypeAlias = "Mapping[str, str]"
"""Names of algorithms by the text of a problem, which override the heuristic."""
NO_ALGORITHMS: ConvAlgorithms = MappingProxyType({})


class ConvAlgorithm(StrEnum):
    """An algorithm for a convolution, by the name that people read, and that plans and tuning records hold."""

    DIRECT = "direct"
    DIRECT_PACKED = "direct, packed weights"
    DIRECT_STRIDED_DGRAD = "direct, strided dgrad"
    IMPLICIT_GEMM = "implicit GEMM"
    STRIDED_DGRAD = "implicit GEMM, strided dgrad"
    WINOGRAD_FUSED = "Winograd, fused"
    WINOGRAD_NONFUSED = "Winograd, non-fused"

    @classmethod
    def _missing_(cls, value: object) -> ConvAlgorithm | None:
        """Return the algorithm of a name of Opsin 0.1.0."""
        return cls(CONV_ALGORITHMS[value]) if isinstance(value, str) and value in CONV_ALGORITHMS else None


WINOGRAD = (ConvAlgorithm.WINOGRAD_FUSED, ConvAlgorithm.WINOGRAD_NONFUSED)


@dataclass(frozen=True)
class ConvProblem:
    """The convolution N × C × `size` → N × K × `out`, or one of its gradients.

    `before` are the rows of padding above an image and the columns to its left. `prepared` says that the weights never
    change, so that packing or transforming them costs nothing in a run. `pairs` says that the images are bfloat16, and
    that the processor multiplies pairs of them; `tiles` that it multiplies tiles of matrices of them. `whole_rows` says
    that a register tile holds a row of the output.
    """

    operation: str
    images: int
    channels: int
    size: Pair
    filters: int
    out: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    before: Pair
    groups: int
    prepared: bool = False
    pairs: bool = False
    tiles: bool = False
    whole_rows: bool = False

    @classmethod
    def of(
        cls,
        node: Node,
        constants: Collection[Tensor] = (),
        narrow: Collection[Tensor] = (),
        target: Target | None = None,
    ) -> Self:
        """Return the problem of `node`, one of `DIRECTIONS` in a bound graph, on a processor like `target`.

        `constants` are never updated; `narrow` are the tensors in bfloat16.
        """
        first, second, result = (cast("tuple[int, ...]", t.shape) for t in (*node.inputs, node.output))
        attrs: dict[str, Any] = node.attrs
        (n, channels, *size), (filters, depth, *kernel), out = first, second, result[2:]
        prepared = node.inputs[1] in constants
        if node.op.name == "conv_transpose2d":
            channels, filters, size, out = depth * attrs["groups"], channels, attrs["size"], first[2:]
        if node.op.name == "conv2d_weight":
            filters, kernel, out, prepared = depth, attrs["kernel"], second[2:], False
        (top, _), (left, _) = attrs["padding"]
        is_wgrad = node.op.name == "conv2d_weight"
        is_narrow = node.inputs[0] in narrow and (node.inputs[1] in narrow if is_wgrad else first[1] % 2 == 0)
        pairs = is_narrow and attrs["groups"] == 1 and target is not None and target.bf16_dot
        return cls(
            operation=node.op.name,
            images=n,
            channels=channels,
            size=_pair(size),
            filters=filters,
            out=_pair(out),
            kernel=_pair(kernel),
            stride=attrs["stride"],
            dilation=attrs["dilation"],
            before=(top, left),
            groups=attrs["groups"],
            prepared=prepared,
            pairs=pairs,
            tiles=pairs and target is not None and fills_tiles((2 if is_wgrad else 1) * first[1], target),
            whole_rows=target is not None and out[1] <= PanelShape(2, 1).rows(target),
        )

    @property
    def direction(self) -> str:
        """The pass of the training step, by the name that people read."""
        return DIRECTIONS[self.operation]

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of direct summation."""
        return self.images * self.filters * prod(self.out) * (self.channels // self.groups) * prod(self.kernel)

    @property
    def attrs(self) -> dict[str, Any]:
        """Stride, padding, dilation and groups, as the operation's attributes; `out` decides the padding at the end."""
        axes = zip(self.size, self.out, self.kernel, self.stride, self.dilation, self.before, strict=True)
        padding = tuple(
            (before, max(0, (out - 1) * stride + (taps - 1) * dilation + 1 - size - before))
            for size, out, taps, stride, dilation, before in axes
        )
        return {"stride": self.stride, "padding": padding, "dilation": self.dilation, "groups": self.groups}

    @lazy
    def geometry(self) -> Geometry:
        """How the convolution slides; an input gradient slides by 1 over its input with zeros between the pixels."""
        if self.operation != "conv_transpose2d":
            shape = (self.images, self.channels, *self.size)
            return Geometry(shape, self.filters, self.kernel, self.out, self.attrs)
        dilated = tuple((n - 1) * stride + 1 for n, stride in zip(self.out, self.stride, strict=True))
        margin = tuple(
            ((taps - 1) * dilation - before, 0)
            for taps, dilation, before in zip(self.kernel, self.dilation, self.before, strict=True)
        )
        attrs = {"stride": (1, 1), "dilation": self.dilation, "groups": self.groups, "padding": margin}
        return Geometry((self.images, self.filters, *dilated), self.channels, self.kernel, self.size, attrs)

    def __str__(self) -> str:
        """Return all fields on a line: the key of tuning records and plans."""
        suffix = ", weights prepared" if self.prepared else ""
        suffix += ", tiles of bfloat16" if self.tiles else ", pairs of bfloat16" if self.pairs else ""
        return (
            f"{self.direction} {self.images}x{self.channels}x{_by(self.size)} to {self.filters}x{_by(self.out)}, "
            f"kernel {_by(self.kernel)}, stride {_by(self.stride)}, from {_by(self.before)}, "
            f"dilation {_by(self.dilation)}, groups {self.groups}{suffix}"
        )


@dataclass(frozen=True)
class ConvSelection:
    """The algorithm taken for a problem; `is_tuned` says that it comes from tuning instead of the heuristic."""

    problem: ConvProblem
    algorithm: ConvAlgorithm
    is_tuned: bool = False


def has_algorithms(node: Node) -> bool:
    """Whether `node` is a convolution with a choice of algorithms; depthwise ones have only one."""
    if node.op.name not in DIRECTIONS:
        return False
    weights = node.output if node.op.name == "conv2d_weight" else node.inputs[1]
    return not is_depthwise(weights.shape, node.attrs["groups"])  # type: ignore[arg-type]


def fixed_tensors(graph: Graph) -> frozenset[Tensor]:
    """Return the tensors that are the same in every run: they depend on no input and on nothing that a run updates."""
    dynamic_tensors = {*graph.inputs, *(graph.variables[name] for name in graph.updates)}
    for node in graph.nodes:
        if not dynamic_tensors.isdisjoint(node.inputs):
            dynamic_tensors.update(node.outputs)
    return frozenset(t for node in graph.nodes for t in node.outputs if t not in dynamic_tensors)


def candidates(problem: ConvProblem, winograd: bool = True, costs: CostModel = EPYC_ZEN3) -> tuple[ConvAlgorithm, ...]:
    """Return every algorithm that solves `problem`, the heuristic's first; `winograd` allows its coarser rounding."""
    geometry = problem.geometry
    is_dgrad, is_wgrad = (problem.operation == name for name in ("conv_transpose2d", "conv2d_weight"))
    algorithms = [ConvAlgorithm.DIRECT]
    if problem.groups == 1:
        algorithms.append(ConvAlgorithm.IMPLICIT_GEMM)
        if not is_wgrad:
            algorithms.append(ConvAlgorithm.DIRECT_PACKED)
        if is_dgrad and problem.stride != (1, 1) and problem.dilation == (1, 1):
            algorithms += [ConvAlgorithm.STRIDED_DGRAD, ConvAlgorithm.DIRECT_STRIDED_DGRAD]
    if winograd and _is_winograd_shape(geometry):
        fuses = not is_wgrad or _sums_fit_cache(geometry, costs)
        algorithms += WINOGRAD if fuses else (ConvAlgorithm.WINOGRAD_NONFUSED,)
    choice = _heuristic(problem, is_wgrad, algorithms, costs)
    return choice, *(algorithm for algorithm in algorithms if algorithm is not choice)


def select(
    graph: Graph,
    winograd: bool = True,
    tuned: ConvAlgorithms = NO_ALGORITHMS,
    costs: CostModel = EPYC_ZEN3,
    narrow: Collection[Tensor] = (),
    target: Target | None = None,
) -> dict[Node, ConvSelection]:
    """Return the algorithm of each convolution of a bound `graph` that has a choice.

    `narrow` are the tensors in bfloat16, and `target` says how the processor multiplies them. The algorithm is the one
    in `tuned` if that can solve the problem, and the heuristic's otherwise.
    """
    constants = fixed_tensors(graph)
    selections: dict[Node, ConvSelection] = {}
    for node in graph.nodes:
        if has_algorithms(node):
            problem = ConvProblem.of(node, constants, narrow, target)
            algorithms = candidates(problem, winograd, costs)
            name = tuned.get(str(problem)) if tuned else None
            name = CONV_ALGORITHMS.get(name, name) if name else None
            algorithm = ConvAlgorithm(name) if name in algorithms else algorithms[0]
            selections[node] = ConvSelection(problem, algorithm, name in algorithms)
    return selections


def _heuristic(
    problem: ConvProblem, is_wgrad: bool, algorithms: Collection[ConvAlgorithm], costs: CostModel
) -> ConvAlgorithm:
    """Return which of `algorithms` should be the fastest."""
    geometry = problem.geometry
    channels, filters = geometry.window.channels, geometry.filters
    weights, min_side = channels * filters * prod(geometry.kernel), min(channels, filters)
    if problem.tiles:
        is_strided = ConvAlgorithm.STRIDED_DGRAD in algorithms
        return ConvAlgorithm.STRIDED_DGRAD if is_strided else ConvAlgorithm.IMPLICIT_GEMM
    if ConvAlgorithm.STRIDED_DGRAD in algorithms:
        is_wide = weights > costs.direct_max_weights_strided or problem.kernel == (1, 1)
        is_wide = is_wide and min_side >= costs.gemm_min_channels_strided
        return ConvAlgorithm.STRIDED_DGRAD if is_wide else ConvAlgorithm.DIRECT_STRIDED_DGRAD
    if ConvAlgorithm.WINOGRAD_NONFUSED in algorithms:
        fuses = _sums_fit_cache(geometry, costs) if is_wgrad else _fills_blocks(geometry, problem.images, costs)
        threshold = costs.winograd_min_channels_fused if fuses else costs.winograd_min_channels
        min_gain = costs.winograd_min_gain_pairs if problem.pairs else costs.winograd_min_gain
        if min_side >= threshold and _winograd_gain(geometry) >= min_gain:
            return ConvAlgorithm.WINOGRAD_FUSED if fuses else ConvAlgorithm.WINOGRAD_NONFUSED
    if not is_wgrad and geometry.groups == 1:
        return _direct_or_gemm(problem, weights, costs)
    if geometry.kernel == (1, 1):
        is_wide = min_side >= costs.gemm_min_channels_strided
    else:
        is_wide = filters >= costs.gemm_min_filters and channels >= costs.wgrad_min_channels
    is_wide = is_wide and geometry.groups == 1
    return ConvAlgorithm.IMPLICIT_GEMM if is_wide else ConvAlgorithm.DIRECT


def _direct_or_gemm(problem: ConvProblem, weights: int, costs: CostModel) -> ConvAlgorithm:
    """Return the fastest algorithm without Winograd's: which one depends on the numbers of weights and pixels."""
    geometry = problem.geometry
    pixels = problem.images * prod(geometry.out)
    packs_weights = geometry.window.channels >= costs.direct_min_packed_channels
    has_few_pixels = problem.prepared and problem.whole_rows and pixels <= costs.gemm_min_pixels
    if has_few_pixels and packs_weights and geometry.filters >= costs.direct_max_filters:
        return ConvAlgorithm.DIRECT_PACKED
    if geometry.kernel == (1, 1):
        fills_panels = geometry.filters >= costs.direct_max_filters or geometry.filters % costs.gemm_min_filters == 0
        is_wide = fills_panels and geometry.window.channels >= costs.gemm_min_channels
    else:
        limit = costs.direct_max_weights_pairs if problem.pairs else costs.direct_max_weights_packed
        is_wide = weights > limit
    if is_wide:
        return ConvAlgorithm.IMPLICIT_GEMM
    repays_packing = problem.prepared or pixels >= costs.direct_min_packed_pixels
    return ConvAlgorithm.DIRECT_PACKED if packs_weights and repays_packing else ConvAlgorithm.DIRECT


def winograd_tiles(geometry: Geometry) -> Pair:
    """Return the numbers of tiles down and across one image."""
    return -(-geometry.out[0] // STEP), -(-geometry.out[1] // STEP)


def _is_winograd_shape(geometry: Geometry) -> bool:
    """Whether F(4×4, 3×3) computes a convolution: 3×3, without stride, dilation and groups."""
    is_plain = geometry.stride == geometry.dilation == (1, 1)
    return geometry.kernel == (3, 3) and is_plain and geometry.groups == 1


def _winograd_gain(geometry: Geometry) -> float:
    """Return the multiplications of direct summation as a multiple of those of whole tiles."""
    down, across = winograd_tiles(geometry)
    return 9 * geometry.out[0] * geometry.out[1] / (POINTS * down * across)


def _fills_blocks(geometry: Geometry, images: int, costs: CostModel) -> bool:
    """Whether so many images have enough tiles for the blocks of the fused algorithm."""
    down, across = winograd_tiles(geometry)
    return images * down * across >= costs.winograd_tiles * costs.winograd_min_blocks


def _sums_fit_cache(geometry: Geometry, costs: CostModel) -> bool:
    """Whether the sums of a weight gradient at all points stay in cache, as the fused algorithm needs."""
    return geometry.window.channels * geometry.filters <= costs.winograd_max_channel_pairs


def _pair(values: Sequence[int]) -> Pair:
    first, second = values
    return first, second


def _by(pair: Pair) -> str:
    return f"{pair[0]}x{pair[1]}"
