"""From a graph to a plan of kernel calls: simplify, fuse, lay out, lower, schedule, place."""

from opsin.compiler.execution_plan import ExecutionPlan, make_plan

__all__ = ["ExecutionPlan", "make_plan"]
