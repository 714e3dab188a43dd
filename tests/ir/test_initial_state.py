"""Initial values: deterministic, a function of seed and name, with the right distribution."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.base.errors import GraphError
from opsin.ir import INT, Graph, variable


def graph_of(**inits: tuple[object, ...]) -> Graph:
    return Graph((), {name: variable(name, (50, 40), init=init) for name, init in inits.items()})


def test_the_seed_determines_the_bits() -> None:
    graph = graph_of(a=("uniform", 1.0), b=("normal", 1.0))
    first, again, other = (nn.initial_state(graph, seed) for seed in (3, 3, 4))
    for name in ("a", "b"):
        assert first[name].tobytes() == again[name].tobytes()
        assert not np.array_equal(first[name], other[name])


def test_values_depend_on_the_name_and_not_on_the_other_variables() -> None:
    alone = nn.initial_state(graph_of(b=("uniform", 1.0)), 1)
    among = nn.initial_state(graph_of(c=("normal", 1.0), a=("uniform", 1.0), b=("uniform", 1.0)), 1)
    assert np.array_equal(alone["b"], among["b"])
    assert not np.array_equal(among["a"], among["b"])


def test_training_and_inference_graphs_have_the_same_initial_values() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3), nn.BatchNorm2d(), nn.Dropout(), nn.Flatten(), nn.Linear(4))
    inference = nn.initial_state(nn.trace(network), 5)
    training = nn.initial_state(nn.training_graph(network, (1, 28, 28), nn.optimizers.Adam()), 5)
    for name, value in inference.items():
        assert np.array_equal(value, training[name])
    assert all(np.all(training[name] == 0) for name in training if name.startswith("optimizer."))


def test_distributions() -> None:
    state = nn.initial_state(graph_of(uniform=("uniform", 0.3), normal=("normal", 2.0)), 0)
    uniform, normal = state["uniform"], state["normal"]
    assert uniform.dtype == normal.dtype == np.float32
    assert np.abs(uniform).max() <= 0.3
    assert np.abs(uniform).max() > 0.29
    assert abs(uniform.mean()) < 0.02
    assert normal.std() == pytest.approx(2.0, rel=0.05)
    assert abs(normal.mean()) < 0.15


def test_given_values() -> None:
    ones, half = ("ones",), ("constant", 0.5)
    state = nn.initial_state(graph_of(zeros=("zeros",), ones=ones, half=half, seen=("values", (*range(2000),))), 9)
    assert {name: value.flat[0] for name, value in state.items()} == {"zeros": 0, "ones": 1, "half": 0.5, "seen": 0}
    assert np.array_equal(state["seen"], np.arange(2000).reshape(50, 40))


@pytest.mark.parametrize(("seed", "expected"), [(7, 7), (2**31, -(2**31)), (-1, -1), (2**32 + 5, 5)])
def test_the_seed_itself_is_a_32_bit_number(seed: int, expected: int) -> None:
    state = nn.initial_state(Graph((), {"seed": variable("random.seed", (), INT, init=("seed",))}), seed)
    assert state["random.seed"].dtype == np.int32
    assert state["random.seed"] == expected


def test_default_bounds_follow_the_fan_in() -> None:
    network = nn.Sequential(nn.Conv2d(8, 3, groups=2), nn.ConvTranspose2d(6, 2), nn.Flatten(), nn.Linear(9))
    graph = nn.trace(network, (4, 6, 6))
    bounds = {"0": 1 / np.sqrt(2 * 9), "1": 1 / np.sqrt(6 * 4), "3": 1 / np.sqrt(6 * 25)}
    for name, value in nn.initial_state(graph, 0).items():
        bound = bounds[name.split(".")[0]]
        assert np.abs(value).max() <= bound
        assert np.abs(value).max() > bound / 2


def test_an_unknown_init_is_an_error() -> None:
    with pytest.raises(GraphError, match="variable 'a' has the unknown init 'magic'; see"):
        nn.initial_state(graph_of(a=("magic",)), 0)


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (4, 6, 3, 5)])
def test_identity_copies_channels(shape: tuple[int, ...]) -> None:
    weight = nn.initial_state(Graph((), {"w": variable("w", shape, init=nn.initializers.identity(shape))}), 0)["w"]
    both, rows, columns = min(shape[:2]), shape[2] // 2, shape[3] // 2
    passed = np.zeros((both, *shape[1:]), np.float32)
    passed[np.arange(both), np.arange(both), rows, columns] = 1
    np.testing.assert_array_equal(weight[:both], passed)
    assert (weight[both:] != 0).all()
