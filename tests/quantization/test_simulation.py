"""The simulation in real numbers gives what the graph of 8-bit integers gives."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.backends import reference
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.quantization.simulation import simulate_graph
from tests.quantization.networks import NETWORKS, network


@pytest.mark.parametrize("name", NETWORKS)
def test_simulation_and_integers_agree(name: str) -> None:
    graph, state, images = network(name)
    ranges = calibrated(graph, state, images, reference.compile)
    simulation = simulate_graph(graph, state, ranges)
    results = []
    for each, variables in (quantize_graph(graph, state, ranges), (simulation.graph, simulation.state)):
        program = reference.compile(each, len(images))
        program.load_state({key: variables[key] for key in each.variables})
        (result,) = program.run(inputs=images).values()
        results.append(result)
    integers, simulated = results
    assert np.abs(integers - simulated).max() <= 0.02 * np.ptp(integers)
    for key, rounded in simulation.rounded.items():
        assert rounded.integers.dtype in (np.int8, np.int32)
        assert np.array_equal(rounded.values, simulation.state[key]), key
