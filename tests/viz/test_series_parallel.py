"""Series-parallel decomposition."""

from __future__ import annotations

from opsin.viz.series_parallel import IrregularRegion, Parallel, Series, decompose, members
from opsin.viz.units import Unit, find_units
from tests.viz.networks import NETWORKS, traced


def shape(items: Series) -> list[object]:
    """Return units by their captions, and branches as lists of lists."""
    nested: list[object] = []
    for item in items:
        if isinstance(item, Unit):
            nested.append(item.caption)
        elif isinstance(item, IrregularRegion):
            nested.append({unit.path for unit in item.units})
        else:
            nested.append([shape(branch) for branch in item.branches])
    return nested


def of(name: str) -> Series:
    actual = find_units(*traced(NETWORKS[name]()))
    items = decompose(actual)
    assert sorted(map(id, members(items))) == sorted(map(id, actual))
    return items


def test_a_chain_is_a_series() -> None:
    assert all(isinstance(item, Unit) for item in of("chain"))
    assert shape(of("nothing")) == ["input"]
    assert shape(of("one layer")) == ["input", "3×3 conv"]


def test_a_shortcut_is_an_empty_branch() -> None:
    assert shape(of("whole shortcut")) == ["input", [[], ["1×1 conv"]], "add"]
    block = next(item for item in of("stages") if isinstance(item, Parallel))
    assert block.branches[0] == ()
    assert block.join.caption == "add"
    assert block.fork in block.join.sources


def test_parallel_branches() -> None:
    modules = [item for item in shape(of("inception")) if isinstance(item, list)]
    assert modules == [[["1×1 conv"], ["1×1 conv", "3×3 conv"], ["3×3 max", "1×1 conv"]]] * 2


def test_nested_branches() -> None:
    gate = [[], ["global avg", "1×1 conv", "1×1 conv"]]
    assert shape(of("gated residual"))[2] == [[], ["3×3 conv", gate, "multiply", "3×3 conv"]]
    inner = ["2×2 max, /2", "3×3 conv", "nearest to 16×16"]
    outer = ["2×2 max, /2", "3×3 conv", [[], inner], "concat", "3×3 conv", "nearest to 32×32"]
    assert shape(of("u-net")) == ["input", "3×3 conv", [[], outer], "concat", "3×3 conv"]


def test_anything_else_is_an_irregular_region() -> None:
    (tangle,) = (item for item in of("irregular") if isinstance(item, IrregularRegion))
    assert {unit.path for unit in tangle.units} == {"1.a.0", "1.b.0", "1.c.0", "1.d.0", "1"}
    assert tangle.join.caption == "concat"
