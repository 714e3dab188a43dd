"""What a network means: symbolic tensors, nodes, graphs, and backpropagation between graphs.

This room knows neither which operations exist nor how anything is computed.
"""

from opsin.graph.backprop import backprop
from opsin.graph.core import (
    FLOAT,
    INPUT,
    INT,
    VARIABLE,
    Node,
    Op,
    Tensor,
    Type,
    apply,
    current_scope,
    input_tensor,
    scope,
    variable,
)
from opsin.graph.cut import after, before, gates, settled_gate
from opsin.graph.garbage import uncollected
from opsin.graph.graph import Graph, binding, topological
from opsin.graph.size import BATCH, Dim, Shape, Size, bind, product, same_size, show

__all__ = [
    "BATCH", "FLOAT", "INPUT", "INT", "VARIABLE", "Dim", "Graph", "Node", "Op", "Shape", "Size", "Tensor",
    "Type", "after", "apply", "backprop", "before", "bind", "binding", "current_scope", "gates", "input_tensor",
    "product", "same_size", "scope", "settled_gate", "show", "topological", "uncollected", "variable",
]  # fmt: skip
