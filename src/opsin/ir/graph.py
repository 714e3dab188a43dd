"""Graphs: inputs, named outputs and updates of variables; their order, rules and printed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from opsin.base.concurrency import lazy
from opsin.base.errors import GraphError
from opsin.ir.arguments import whole
from opsin.ir.core import INPUT, VARIABLE, Node, Tensor, Type, infer_types
from opsin.ir.size import Shape, Size, bind, show

HIDDEN_ATTRS = ("type", "name", "init")
"""Attributes that the printed form shows elsewhere or not at all."""


@dataclass(frozen=True, eq=False)
class Graph:
    """`outputs` computed from `inputs` and variables. After a run, each variable in `updates` takes its new value."""

    inputs: tuple[Tensor, ...]
    outputs: dict[str, Tensor]
    updates: dict[str, Tensor] = field(default_factory=dict)

    @property
    def roots(self) -> tuple[Tensor, ...]:
        """Outputs and new values of variables."""
        return (*self.outputs.values(), *self.updates.values())

    @lazy
    def nodes(self) -> tuple[Node, ...]:
        """Every node that the roots depend on, operands before their users."""
        return topological(self.roots)

    @lazy
    def forward(self) -> tuple[Node, ...]:
        """The nodes that the outputs depend on, operands first: of a training step, all but gradients and updates."""
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
                readers = users[operand]
                if not readers or readers[-1] is not node:  # once, even if it reads a tensor twice
                    readers.append(node)
        return users

    def bind(self, batch: int) -> Graph:
        """Return the graph with the free batch dimension set to `batch`. Raise `GraphError` unless it is at least 1."""
        return self.rewrite(binding(batch))

    def rewrite(self, change: Callable[[Node, tuple[Tensor, ...]], Node | tuple[Tensor, ...]]) -> Graph:
        """Return a new graph in which `change(node, new_inputs)` replaces each node; it is called operands first."""
        replacements: dict[Tensor, Tensor] = {}
        for node in (*(t.node for t in self.inputs), *self.nodes):
            if node.outputs[0] in replacements:
                continue
            replacement = change(node, tuple([replacements[t] for t in node.inputs]))
            outputs = replacement.outputs if isinstance(replacement, Node) else replacement
            replacements |= zip(node.outputs, outputs, strict=True)
        return Graph(
            tuple(replacements[t] for t in self.inputs),
            {name: replacements[t] for name, t in self.outputs.items()},
            {name: replacements[t] for name, t in self.updates.items()},
        )

    def verify(self) -> Graph:
        """Return the graph itself if it is well-formed. Raise `GraphError` for the first node that breaks a rule."""
        known_tensors: set[Tensor] = set()
        for node in self.nodes:
            for operand in node.inputs:
                if operand not in known_tensors:
                    raise GraphError(f"{node} uses {operand} before it is computed")
            types = infer_types(node.op, node.inputs, node.attrs, node.scope)
            for inferred_type, output in zip(types, node.outputs, strict=True):
                if inferred_type != output.type:
                    raise GraphError(f"{node} says {output.type}, its shape rule {inferred_type}")
            known_tensors.update(node.outputs)
        return self.verify_names()

    def verify_names(self) -> Graph:
        """Check the rules for a graph as a whole, which suffices if `apply` created every node. Return the graph."""
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
        """Yield the graph as text, one node per line.

        Example: `%3 = conv2d(%x, %conv1.weight) stride=(1, 1) : N × 6 × 28 × 28`.
        """
        names: dict[Tensor, str] = {}
        for node in self.nodes:
            for tensor in node.outputs:
                names[tensor] = f"%{node.attrs['name']}" if node.op in (INPUT, VARIABLE) else f"%{len(names)}"
            left = ", ".join(names[t] for t in node.outputs)
            args = ", ".join(names[t] for t in node.inputs)
            kinds = ", ".join(str(t.type) for t in node.outputs)
            attrs = "".join(f" {k}={_text(v)}" for k, v in node.attrs.items() if k not in HIDDEN_ATTRS and v != "")
            comment = f"   # {node.scope}" if node.scope else ""
            yield f"{left} = {node.op.name}({args}){attrs} : {kinds}{comment}"
        for name, tensor in self.outputs.items():
            yield f"output {name} = {names[tensor]}"
        for name, tensor in self.updates.items():
            yield f"update %{name} ← {names[tensor]}"


def _text(value: Any) -> str:
    if isinstance(value, tuple) and any(isinstance(item, Size) for item in value):
        return f"({show(value)})"
    return str(value)


def binding(batch: int) -> Callable[[Node, tuple[Tensor, ...]], Node]:
    """Return a `change` for `Graph.rewrite` that sets the free batch dimension to `batch`."""
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


def macs(nodes: Iterable[Node]) -> int:
    """Return the MACs of `nodes` for one image."""
    return sum(int(str(bind((node.op.macs(node),), 1)[0])) for node in nodes)


def topological(roots: Iterable[Tensor]) -> tuple[Node, ...]:
    """Return the nodes that `roots` depend on, operands first, without recursion (networks are deep)."""
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
