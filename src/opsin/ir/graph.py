"""A whole computation: inputs, named outputs, and updates of variables, with its order and its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from opsin.base.concurrency import lazy
from opsin.base.errors import GraphError
from opsin.ir.arguments import whole
from opsin.ir.core import INPUT, VARIABLE, Node, Tensor, Type, inferred
from opsin.ir.size import Shape, Size, bind, show

HIDDEN = ("type", "name", "init")
"""Attributes that the printed form shows elsewhere or not at all."""


@dataclass(frozen=True, eq=False)
class Graph:
    """`outputs` computed from `inputs` and variables; after a run, each variable in `updates` takes its new value."""

    inputs: tuple[Tensor, ...]
    outputs: dict[str, Tensor]
    updates: dict[str, Tensor] = field(default_factory=dict)

    @property
    def roots(self) -> tuple[Tensor, ...]:
        return (*self.outputs.values(), *self.updates.values())

    @lazy
    def nodes(self) -> tuple[Node, ...]:
        """Every node that matters, operands before their users."""
        return topological(self.roots)

    @lazy
    def forward(self) -> tuple[Node, ...]:
        """What the outputs depend on, operands first: of a training step, all but gradients and updates."""
        return topological(self.outputs.values())

    @lazy
    def variables(self) -> dict[str, Tensor]:
        """Every variable by name, in the order of first use."""
        return {node.attrs["name"]: node.output for node in self.nodes if node.op is VARIABLE}

    @lazy
    def parameters(self) -> dict[str, Tensor]:
        """The trainable variables."""
        return {name: t for name, t in self.variables.items() if t.node.attrs["trainable"]}

    @lazy
    def users(self) -> dict[Tensor, list[Node]]:
        """For each tensor, the nodes that read it."""
        users: dict[Tensor, list[Node]] = {t: [] for node in self.nodes for t in node.outputs}
        for node in self.nodes:
            for operand in node.inputs:
                mine = users[operand]
                if not mine or mine[-1] is not node:  # once, though it may read a tensor twice
                    mine.append(node)
        return users

    def bind(self, batch: int) -> Graph:
        """The same graph with the free batch dimension set to `batch`."""
        return self.rewrite(binding(batch))

    def rewrite(self, change: Callable[[Node, tuple[Tensor, ...]], Node | tuple[Tensor, ...]]) -> Graph:
        """A new graph in which `change(node, new_inputs)` stands for each node, operands first."""
        new: dict[Tensor, Tensor] = {}
        for node in (*(t.node for t in self.inputs), *self.nodes):
            if node.outputs[0] in new:
                continue
            made = change(node, tuple([new[t] for t in node.inputs]))
            outputs = made.outputs if isinstance(made, Node) else made
            new |= zip(node.outputs, outputs, strict=True)
        return Graph(
            tuple(new[t] for t in self.inputs),
            {name: new[t] for name, t in self.outputs.items()},
            {name: new[t] for name, t in self.updates.items()},
        )

    def verify(self) -> Graph:
        """Checks every rule of a graph and returns it; `GraphError` names the first node that breaks one."""
        known: set[Tensor] = set()
        for node in self.nodes:
            for operand in node.inputs:
                if operand not in known:
                    raise GraphError(f"{node} uses {operand} before it is made")
            for now, then in zip(inferred(node.op, node.inputs, node.attrs, node.scope), node.outputs, strict=True):
                if now != then.type:
                    raise GraphError(f"{node} says {then.type}, its shape rule {now}")
            known.update(node.outputs)
        return self.verify_names()

    def verify_names(self) -> Graph:
        """Checks the rules that concern a graph as a whole: what is left to check where `apply` made every node."""
        names: dict[str, Node] = {}
        for node in self.nodes:
            if node.op is INPUT or node.op is VARIABLE:
                name = node.attrs["name"]
                if names.setdefault(name, node) is not node:
                    raise GraphError(f"two different tensors are called '{name}'; give one of the layers another name")
            if node.op is INPUT and node.output not in self.inputs:
                raise GraphError(f"input '{node.attrs['name']}' is used but not declared among the graph's inputs")
        for name, value in self.updates.items():
            if name not in self.variables:
                raise GraphError(f"'{name}' is updated but never used as a variable")
            if self.variables[name].type != value.type:
                raise GraphError(f"'{name}' is {self.variables[name].type}, its new value {value.type}")
        return self

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterable[str]:
        """The graph as text, a node a line: `%3 = conv2d(%x, %conv1.weight) stride=(1, 1) : N × 6 × 28 × 28`."""
        names: dict[Tensor, str] = {}
        for node in self.nodes:
            for tensor in node.outputs:
                names[tensor] = f"%{node.attrs['name']}" if node.op in (INPUT, VARIABLE) else f"%{len(names)}"
            left = ", ".join(names[t] for t in node.outputs)
            args = ", ".join(names[t] for t in node.inputs)
            kinds = ", ".join(str(t.type) for t in node.outputs)
            attrs = "".join(f" {k}={_text(v)}" for k, v in node.attrs.items() if k not in HIDDEN and v != "")
            where = f"   # {node.scope}" if node.scope else ""
            yield f"{left} = {node.op.name}({args}){attrs} : {kinds}{where}"
        for name, tensor in self.outputs.items():
            yield f"output {name} = {names[tensor]}"
        for name, tensor in self.updates.items():
            yield f"update %{name} ← {names[tensor]}"


def _text(value: Any) -> str:
    if isinstance(value, tuple) and any(isinstance(item, Size) for item in value):
        return f"({show(value)})"
    return str(value)


def binding(batch: int) -> Callable[[Node, tuple[Tensor, ...]], Node]:
    """From a node and its operands, bound to `batch`, to the node bound to it."""
    batch = whole("a batch", batch)
    if batch < 1:
        raise GraphError(f"a batch holds at least one image, not {batch}")

    @cache
    def with_batch(shape: Shape, dtype: str) -> Type:
        return Type(bind(shape, batch), dtype)

    def bound(node: Node, inputs: tuple[Tensor, ...]) -> Node:
        attrs = bind(node.attrs, batch) if node.attrs else {}
        if node.op is INPUT or node.op is VARIABLE:
            attrs["type"] = with_batch(node.attrs["type"].shape, node.attrs["type"].dtype)
        types = [with_batch(t.type.shape, t.type.dtype) for t in node.outputs]
        return Node(node.op, inputs, attrs, tuple(types), node.scope)

    return bound


def topological(roots: Iterable[Tensor]) -> tuple[Node, ...]:
    """The nodes that `roots` depend on, operands first, without recursion (networks are deep)."""
    order: dict[Node, None] = {}
    for root in roots:
        stack = [root.node]
        while stack:
            for operand in stack[-1].inputs:
                if operand.node not in order:
                    stack.append(operand.node)
                    break
            else:
                order[stack.pop()] = None
    return tuple(order)
