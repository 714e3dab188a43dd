"""Paths of layers."""

from __future__ import annotations

import pytest

from opsin.nn.paths import common, last_name, lineage, parent, span


def test_nesting_of_paths() -> None:
    assert lineage("layer1.0.conv1") == ["layer1", "layer1.0", "layer1.0.conv1"]
    assert lineage("") == []
    assert [parent("layer1.0.conv1"), parent("conv1"), parent("")] == ["layer1.0", "", ""]
    assert [last_name("layer1.0.conv1"), last_name("conv1")] == ["conv1", "conv1"]


def test_common_enclosing_layer() -> None:
    assert common(["a.b.c", "a.b.d.e", "a.b"]) == "a.b"
    assert common(["a.bc", "a.bd"]) == "a"
    assert common(["a.b"]) == "a.b"
    assert common(["a", "b"]) == common([]) == ""


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["layer3.1", "layer3.2", "layer3.35"], "layer3.1–35"),
        (["layer3.10", "layer3.19"], "layer3.10–19"),
        (["dense.layer1", "dense.layer6"], "dense.layer1–6"),
        (["blocks.0.conv", "blocks.3.conv"], "blocks.0–3.conv"),
        (["conv", "conv"], "conv"),
        (["first", "second"], "first–second"),
        (["x1y1", "x1y2"], "x1y1–2"),
        (["1", "11"], "1–11"),
        (["a.1.1", "a.2.1"], "a.1–2.1"),
    ],
)
def test_spans_of_paths(paths: list[str], name: str) -> None:
    assert span(paths) == name
