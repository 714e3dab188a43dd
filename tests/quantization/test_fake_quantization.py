"""The network of real numbers that rounds as integers do: it computes what they compute, and can be trained."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.native import compile as native
from opsin.backends.reference import Reference
from opsin.backends.reference import compile as reference
from opsin.ir import Graph, input_tensor
from opsin.quantization.fake_quantization import simulated, simulated_ranges, simulation_state
from opsin.quantization.quantize import calibrated, quantize_graph
from tests.quantization.networks import NETWORKS, Array, network
from tests.quantization.test_quantize import noise, run

TIES = {"branches"}
"""Networks with an average of few integers, whose half step is a whole number: it differs more often from the mean."""


@pytest.mark.parametrize("name", NETWORKS)
def test_the_simulation_computes_what_integers_compute(name: str) -> None:
    graph, state, images = network(name)
    ranges = calibrated(graph, state, images, reference)
    expected = run(*quantize_graph(graph, state, ranges), images)
    values = simulation_state(graph, state, ranges)
    found = run(simulated(graph, state), state | values, images)
    rounding = noise(run(graph, state, images), expected)
    assert noise(found, expected) < (1.0 if name in TIES else 0.45) * rounding


@pytest.mark.parametrize("name", NETWORKS)
def test_integers_follow_from_the_simulation(name: str) -> None:
    graph, state, images = network(name)
    ranges = calibrated(graph, state, images, reference)
    again = simulated_ranges(graph, state, simulation_state(graph, state, ranges))
    assert again is not None and again.steps and again.factors.keys() == ranges.factors.keys()
    expected, found = (quantize_graph(graph, state, each) for each in (ranges, again))
    assert found[1].keys() == expected[1].keys()
    for key, array in expected[1].items():
        largest = np.abs(found[1][key].astype(np.float64) - array).max()
        assert largest <= (1 if array.dtype == np.int8 else 1e-5 * np.abs(array).max() + 1), key


def test_trained_weights_keep_the_steps_of_the_simulation() -> None:
    graph, state, images = network("depthwise")
    ranges = calibrated(graph, state, images, reference)
    values = simulation_state(graph, state, ranges)
    trained = {
        name: array * (0.9 if name.endswith("weight") and array.ndim > 1 else 1) for name, array in state.items()
    }
    again = simulated_ranges(graph, trained, values)
    assert again is not None
    kernels = [quantize_graph(graph, trained, each)[1]["0.weight_int8"] for each in (ranges, again)]
    assert np.abs(kernels[0]).max() == 127 and np.abs(kernels[1]).max() in (114, 115)  # the step stays
    simulation = run(simulated(graph, trained), trained | values, images)
    integers = run(*quantize_graph(graph, trained, again), images)
    assert noise(simulation, integers) < 0.5 * noise(run(graph, trained, images), integers)


def test_ranges_of_a_program_that_rounds_nothing_are_none() -> None:
    graph, state, _ = network("plain")
    assert simulated_ranges(graph, state, state) is None


def descended(frozen: tuple[str, ...]) -> tuple[dict[str, Array], dict[str, Array]]:
    """The variables before and after a training step."""
    graph, state, images = network("residual")
    ranges = calibrated(graph, state, images, reference)
    step = nn.training_step(simulated(graph, state, frozen), nn.optimizers.SGD())
    program = native(step, len(images), 1)
    before = nn.initial_state(step, 0) | state | simulation_state(graph, state, ranges)
    program.load_state(before)
    losses = [
        float(program.run(inputs=images, labels=np.arange(len(images)) % 5, learning_rate=1e-4)["loss"])
        for _ in range(9)
    ]
    assert losses[-1] < losses[0]
    return before, program.state()


def test_a_training_step_changes_parameters_and_no_ranges() -> None:
    before, after = descended(frozen=("0", "2"))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"3.conv.weight", "3.norm.weight", "3.norm.bias", "5.weight", "5.bias"}


def test_the_gradient_passes_rounding_and_not_clipping() -> None:
    x, g = input_tensor("x", (6,)), input_tensor("g", (6,))
    y = ops.fake_quantize(x, 0.5, -2.0, 3.0)
    (gradient,) = ops.gradients(ops.sum(ops.multiply(y, g)), [x])
    assert gradient is not None
    program = Reference(Graph((x, g), {"y": y, "dx": gradient}), 1)
    result = program.run(x=[-9.0, -1.2, -0.3, 0.26, 1.7, 1.8], g=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(result["y"], [-1.0, -1.0, -0.5, 0.5, 1.5, 1.5])
    np.testing.assert_array_equal(result["dx"], [0.0, 2.0, 3.0, 4.0, 5.0, 0.0])
