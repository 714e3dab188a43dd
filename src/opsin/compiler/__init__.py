"""From a graph to a plan of kernel calls: simplify, fuse, lay out, lower, schedule, place."""

from opsin.compiler.plan import Plan, make_plan

__all__ = ["Plan", "make_plan"]
