"""What a convolution asks for, the ways to compute it, and which of them is taken.

A `ConvProblem` is a convolution in one direction, with all its sizes. From these the model of this file says which way
should be the fastest; where ways were timed on a machine, what came of that takes the model's place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Any, Self, TypeAlias, cast

from opsin.base.concurrency import lazy
from opsin.compiler.lower import depthwise, packed, winograd
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import Geometry
from opsin.ir import Graph, Node, Tensor

Pair: TypeAlias = "tuple[int, int]"

DIRECTIONS = {"conv2d": "forward", "conv_transpose2d": "input gradient", "conv2d_weight": "weight gradient"}
"""What the three convolutions are in the training of a network, by operation."""

Choices: TypeAlias = "Mapping[str, str]"
"""Ways by the text of the problem, where something else than the model decides."""


class ConvAlgorithm(StrEnum):
    """An algorithm for a convolution, by the name that people read."""

    DIRECT = "direct"
    IMPLICIT_GEMM = "packed"
    STRIDED_DGRAD = "packed, by phases"
    WINOGRAD_FUSED = "Winograd, by blocks"
    WINOGRAD_NONFUSED = "Winograd, by points"


WINOGRAD = (ConvAlgorithm.WINOGRAD_FUSED, ConvAlgorithm.WINOGRAD_NONFUSED)


@dataclass(frozen=True)
class ConvProblem:
    """The convolution N × C × `size` → N × K × `out`, or one of its gradients; `prepared`: its weights never change.

    `before` are the rows above and the columns left of an image that its windows take in.
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

    @classmethod
    def of(cls, node: Node, fixed: Collection[Tensor] = ()) -> Self:
        """What `node`, one of `DIRECTIONS` in a bound graph, asks for; `fixed` are tensors that are always the same."""
        first, second, made = (cast("tuple[int, ...]", t.shape) for t in (*node.inputs, node.output))
        attrs: dict[str, Any] = node.attrs
        (n, channels, *size), (filters, depth, *kernel), out = first, second, made[2:]
        prepared = node.inputs[1] in fixed
        if node.op.name == "conv_transpose2d":
            channels, filters, size, out = depth * attrs["groups"], channels, attrs["size"], first[2:]
        if node.op.name == "conv2d_weight":
            filters, kernel, out, prepared = depth, attrs["kernel"], second[2:], False
        (top, _), (left, _) = attrs["padding"]
        return cls(
            node.op.name, n, channels, _pair(size), filters, _pair(out), _pair(kernel), attrs["stride"],
            attrs["dilation"], (top, left), attrs["groups"], prepared,
        )  # fmt: skip

    @property
    def direction(self) -> str:
        return DIRECTIONS[self.operation]

    @property
    def macs(self) -> int:
        """Multiply-adds of direct summation."""
        return self.images * self.filters * prod(self.out) * (self.channels // self.groups) * prod(self.kernel)

    @property
    def moves(self) -> dict[str, Any]:
        """Stride, padding, dilation and groups, as the operation's attributes; that behind is what `out` needs."""
        moves = zip(self.size, self.out, self.kernel, self.stride, self.dilation, self.before, strict=True)
        padding = tuple(
            (before, max(0, (out - 1) * stride + (taps - 1) * dilation + 1 - size - before))
            for size, out, taps, stride, dilation, before in moves
        )
        return {"stride": self.stride, "padding": padding, "dilation": self.dilation, "groups": self.groups}

    @lazy
    def geometry(self) -> Geometry:
        """How the convolution slides; of an input gradient, that of stride 1 over the output's gradient spread out."""
        if self.operation != "conv_transpose2d":
            shape = (self.images, self.channels, *self.size)
            return Geometry(shape, self.filters, self.kernel, self.out, self.moves)
        spread = tuple((n - 1) * stride + 1 for n, stride in zip(self.out, self.stride, strict=True))
        margin = tuple(
            ((taps - 1) * dilation - before, 0)
            for taps, dilation, before in zip(self.kernel, self.dilation, self.before, strict=True)
        )
        inverse = {"stride": (1, 1), "dilation": self.dilation, "groups": self.groups, "padding": margin}
        return Geometry((self.images, self.filters, *spread), self.channels, self.kernel, self.size, inverse)

    def __str__(self) -> str:
        """All of it, on a line: what choices are known by."""
        kept = ", weights prepared" if self.prepared else ""
        return (
            f"{self.direction} {self.images}x{self.channels}x{_by(self.size)} to {self.filters}x{_by(self.out)}, "
            f"kernel {_by(self.kernel)}, stride {_by(self.stride)}, from {_by(self.before)}, "
            f"dilation {_by(self.dilation)}, groups {self.groups}{kept}"
        )


def _pair(values: Sequence[int]) -> Pair:
    first, second = values
    return first, second


def _by(pair: Pair) -> str:
    return f"{pair[0]}x{pair[1]}"


def has_ways(node: Node) -> bool:
    """Whether `node` is a convolution for which there is a choice: a depthwise one has an algorithm of its own."""
    if node.op.name not in DIRECTIONS:
        return False
    weights = node.output if node.op.name == "conv2d_weight" else node.inputs[1]
    return not depthwise.suits(weights.shape, node.attrs["groups"])  # type: ignore[arg-type]


def fixed(graph: Graph) -> frozenset[Tensor]:
    """Tensors that are the same in every run, since they depend on neither inputs nor what a run updates."""
    changing = {*graph.inputs, *(graph.variables[name] for name in graph.updates)}
    for node in graph.nodes:
        if not changing.isdisjoint(node.inputs):
            changing.update(node.outputs)
    return frozenset(t for node in graph.nodes for t in node.outputs if t not in changing)


def candidates(problem: ConvProblem, exact: bool = False) -> tuple[ConvAlgorithm, ...]:
    """Every way that works, the model's choice first; `exact`: without Winograd's rounding."""
    geometry = problem.geometry
    backward, weight = (problem.operation == name for name in ("conv_transpose2d", "conv2d_weight"))
    found = [ConvAlgorithm.DIRECT]
    if problem.groups == 1:
        found.append(ConvAlgorithm.IMPLICIT_GEMM)
        if backward and problem.stride != (1, 1) and problem.dilation == (1, 1):
            found.append(ConvAlgorithm.STRIDED_DGRAD)
    if winograd.works(geometry) and not exact:
        found += WINOGRAD if not weight or winograd.is_narrow(geometry) else (ConvAlgorithm.WINOGRAD_NONFUSED,)
    best = _modelled(geometry, problem.images, weight, found)
    return best, *(way for way in found if way is not best)


def _modelled(geometry: Geometry, images: int, weight: bool, known: Collection[ConvAlgorithm]) -> ConvAlgorithm:
    """Which of the ways that are `known` to work should be the fastest."""
    if ConvAlgorithm.STRIDED_DGRAD in known and packed.suits_spread(geometry):
        return ConvAlgorithm.STRIDED_DGRAD
    by_blocks = winograd.is_narrow(geometry) if weight else winograd.fills_blocks(geometry, images)
    if ConvAlgorithm.WINOGRAD_NONFUSED in known and winograd.suits(geometry, by_blocks):
        return ConvAlgorithm.WINOGRAD_FUSED if by_blocks else ConvAlgorithm.WINOGRAD_NONFUSED
    is_wide = packed.suits_taps(geometry) if weight else packed.suits(geometry)
    return ConvAlgorithm.IMPLICIT_GEMM if is_wide else ConvAlgorithm.DIRECT


def decide(lower: Lowering, node: Node) -> tuple[ConvProblem, ConvAlgorithm]:
    """What a convolution asks for, and the way that is taken: the one chosen before, or else the model's."""
    problem = ConvProblem.of(node, lower.fixed)
    known = candidates(problem, lower.exact)
    chosen = lower.choices.get(str(problem)) if lower.choices else None
    lower.timed = chosen in known
    return problem, ConvAlgorithm(chosen) if lower.timed and chosen else known[0]
