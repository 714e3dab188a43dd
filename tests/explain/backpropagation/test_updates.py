"""Two steps of every optimizer, down to the bits of the engine's training graph."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.backends.options import CompileOptions, bound
from opsin.explain.backpropagation.updates import RULES, Rule, Updates, operations, state_after, table
from opsin.nn.training_graph import training_step
from tests.explain.backpropagation.support import traced

ADAM = next(rule for rule in RULES if rule.key == "adam")
CASES = [*((name, rule) for name in ("lenet5", "mixed", "twice") for rule in RULES), ("resnet20", ADAM)]


@pytest.mark.parametrize(("name", "rule"), CASES, ids=lambda value: getattr(value, "key", value))
def test_new_weights_are_those_of_a_training_step(name: str, rule: Rule) -> None:
    backward, step = traced(name)
    model = backward.model
    graph = training_step(model.graph, rule.optimizer, step.case.target.objective)
    program = bound(model.engine, CompileOptions(winograd=False))(graph, 1, model.threads)
    program.load_state(model.state)
    rng = np.random.default_rng(2)
    states: dict[tuple[str, tuple[int, ...]], dict[str, np.float32]] = {}
    weights = dict(model.state)
    for found in Updates(backward, step).steps(rule):
        program.run(**backward.arrays(step.case), learning_rate=np.float32(rule.rate))
        expected = program.state()
        for parameter in backward.parameters:
            assert found.state[parameter].tobytes() == expected[parameter].tobytes(), parameter
            places = {tuple(int(i) for i in rng.integers(weights[parameter].shape)) for _ in range(4)}
            for index in [key[1] for key in states if key[0] == parameter] or places:
                gradient, state = found.gradients[parameter][index], states.get((parameter, index), {})
                values = table(rule.optimizer, weights[parameter][index], gradient, rule.rate, state)
                assert values["w new"].tobytes() == expected[parameter][index].tobytes()
                states[parameter, index] = state_after(rule.optimizer, values)
        weights = expected
    assert any((weights[parameter] != model.state[parameter]).any() for parameter in backward.parameters)


def test_a_table_says_what_is_computed() -> None:
    momentum = next(rule for rule in RULES if rule.key == "momentum")
    rows = operations(momentum.optimizer)
    assert [(row.symbol, row.formula) for row in rows] == [
        ("t₁", "v × 0.9"), ("v new", "t₁ + g"), ("t₂", "v new × η"), ("w new", "w − t₂"),
    ]  # fmt: skip
    values = table(momentum.optimizer, np.float32(1), np.float32(0.5), 0.25, {"v": np.float32(2)})
    assert values["w new"] == pytest.approx(1 - 0.25 * (2 * 0.9 + 0.5))


def test_an_optimizer_starts_anew_for_each_image() -> None:
    backward, step = traced("lenet5")
    first, second = (Updates(backward, step).steps(ADAM) for _ in range(2))
    for before, after in zip(first, second, strict=True):
        assert all(before.state[name].tobytes() == after.state[name].tobytes() for name in before.state)
