"""Ranges as plain data, and data that belongs to another network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from opsin.backends.reference import compile as reference
from opsin.base.errors import ModelError
from opsin.ir.serialization import from_data, to_data
from opsin.ops import OPS
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.quantization.record import ranges_from_data, ranges_to_data, tensors_of
from tests.quantization.networks import network


def test_ranges_survive_a_file() -> None:
    graph, state, images = network("activations")
    ranges = calibrated(graph, state, images, reference)
    assert ranges.factors, "the network has a function by channel"
    data = json.loads(json.dumps(ranges_to_data(ranges, graph)))
    read = from_data(json.loads(json.dumps(to_data(graph))), OPS.get)
    again = ranges_from_data(data, read)
    assert [again.bounds[t] for t in tensors_of(read) if t in again.bounds] == [
        ranges.bounds[t] for t in tensors_of(graph) if t in ranges.bounds
    ]
    first, second = (quantize_graph(g, state, r) for g, r in ((graph, ranges_from_data(data, graph)), (read, again)))
    assert str(first[0]) == str(second[0])
    assert all(np.array_equal(first[1][name], second[1][name]) for name in first[1])


@pytest.mark.parametrize(
    "change",
    [
        {"bounds": {"99999": [0, 1]}}, {"bounds": {"x": [0, 1]}}, {"bounds": {"0": [0]}}, {"bounds": {"0": [2, 1]}},
        {"bounds": {"0": [0, float("inf")]}}, {"means": {"0": "AAAA"}}, {"means": {"0": "no base64!"}}, {"means": 3},
        {"factors": None},
    ],
)  # fmt: skip
def test_damaged_ranges_are_refused(change: dict[str, Any]) -> None:
    graph, state, images = network("plain")
    data = ranges_to_data(calibrated(graph, state, images, reference), graph) | change
    with pytest.raises(ModelError, match="the ranges for 8-bit integers"):
        ranges_from_data(data, graph)
