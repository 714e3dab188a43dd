"""The intermediate representation: symbolic tensors, nodes, graphs, and backpropagation from graph to graph.

This package knows neither which operations exist nor how anything is computed.
"""

from opsin.base.gc_pause import gc_paused
from opsin.ir.autodiff import backprop
from opsin.ir.core import (
    DTYPES,
    FLOAT,
    INPUT,
    INT,
    INT8,
    VARIABLE,
    WHOLE_DTYPES,
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
from opsin.ir.cut_points import cut_points, last_static_cut_point, prefix, split, static_taps, suffix
from opsin.ir.graph import Graph, binding, macs, topological
from opsin.ir.initial_state import initial_state
from opsin.ir.size import BATCH, Dim, Shape, Size, bind, product, same_size, show

__all__ = [
    "BATCH",
    "DTYPES",
    "FLOAT",
    "INPUT",
    "INT",
    "INT8",
    "VARIABLE",
    "WHOLE_DTYPES",
    "Dim",
    "Graph",
    "Node",
    "Op",
    "Shape",
    "Size",
    "Tensor",
    "Type",
    "apply",
    "backprop",
    "bind",
    "binding",
    "current_scope",
    "cut_points",
    "gc_paused",
    "initial_state",
    "input_tensor",
    "last_static_cut_point",
    "macs",
    "prefix",
    "product",
    "same_size",
    "scope",
    "show",
    "split",
    "static_taps",
    "suffix",
    "topological",
    "variable",
]  # fmt: skip
