"""The stages of a network: the boxes of its diagram, and the steps within each, with the tensors they compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opsin.ir import Graph, Node, Tensor
from opsin.viz import captions
from opsin.viz.op_groups import OpGroup
from opsin.viz.units import Unit, find_units


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a stage, such as "3×3 conv", "batch norm" or "ReLU"."""

    name: str
    kind: str
    """The kind of operation (see `opsin.viz.captions`)."""
    layer: str
    """The path of its layer."""
    nodes: tuple[Node, ...]

    @property
    def output(self) -> Tensor:
        return self.nodes[-1].output


@dataclass(frozen=True, eq=False)
class Stage:
    """A box of the diagram of a network, number `number` from the input, which is 0."""

    number: int
    unit: Unit
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """The path of the layer of the main operation; the caption if there is none."""
        return self.unit.path or self.unit.caption

    @property
    def output(self) -> Tensor:
        return self.steps[-1].output


def find_stages(graph: Graph, kinds: Mapping[str, str]) -> list[Stage]:
    """Return the stages from the graph's first input to its first output, in topological order.

    `kinds` are the kinds of layers by path, as a `Model` keeps them in `layers`.
    """
    units = find_units(graph, kinds)
    return [Stage(number, unit, _steps(unit, kinds)) for number, unit in enumerate(units)]


def _steps(unit: Unit, kinds: Mapping[str, str]) -> tuple[Step, ...]:
    return tuple(_step(group, kinds) for group in unit.groups)


def _step(group: OpGroup, kinds: Mapping[str, str]) -> Step:
    name = captions.caption(group, kinds) or "scale and shift"
    return Step(name, captions.kind_of(group), group.scope, tuple(group.nodes))
