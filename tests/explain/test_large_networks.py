"""Large networks: values and gradients in groups, and parts of updates, are those of small networks, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

import opsin
from opsin.explain import tensor_groups
from opsin.explain.backpropagation import updates
from opsin.explain.backpropagation.backward import Backward
from opsin.explain.backpropagation.updates import RULES, Rule, Updates
from opsin.explain.tensor_groups import divide_tensors, value_count
from opsin.ir import input_tensor
from opsin.model import Model
from tests.explain.backpropagation.support import traced
from tests.explain.networks import images, model_of, pooled


def test_groups_hold_as_many_tensors_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [input_tensor(f"x{size}", (2, size)) for size in (3, 2, 1, 9, 1)]
    monkeypatch.setattr(tensor_groups, "MAX_VALUES", 12)
    assert [[value_count(t) for t in group] for group in divide_tensors(tensors, value_count)] == [[6, 4, 2], [18], [2]]


def test_a_page_in_groups_has_the_data_of_a_page_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Model = model_of(pooled())
    pixels = images(model, 2)
    once = opsin.see(model, pixels)
    expected = once.page.views
    monkeypatch.setattr(tensor_groups, "MAX_VALUES", 1)
    groups = opsin.see(model, pixels)
    assert groups.page.views == expected
    assert groups.page.html == once.page.html
    for stage in once.stages:
        assert groups.feature_maps(stage.number).tobytes() == once.feature_maps(stage.number).tobytes()
        assert groups.gradients(stage.number).tobytes() == once.gradients(stage.number).tobytes()


def test_only_the_last_groups_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_groups, "MAX_VALUES", 1)
    backward, once = traced("lenet5")
    step = Backward(backward.model, once.case.target.objective).run(once.case)
    computed: list[int] = []
    groups = tensor_groups.TensorGroups([[t] for t in backward.observed], lambda group: computed.append(len(computed)))
    for tensor in [*backward.observed[:3], backward.observed[1], backward.observed[0]]:
        groups.of(tensor)
    assert len(computed) == 4  # the second one is still there, the first one is not
    assert len(step.values) > 3 and len(step.gradients) > 3


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_a_part_of_an_update_is_part_of_the_whole(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    backward, step = traced("mixed")
    whole = Updates(backward, step).steps(rule)
    monkeypatch.setattr(updates, "CHUNK", 7)
    few = Updates(Backward(backward.model, step.case.target.objective), step)
    parts = few.steps(rule, {"wide.weight": lambda array: array[2:4, 1:], "head.bias": lambda array: array})
    for full, part in zip(whole, parts, strict=True):
        assert part.state["wide.weight"].tobytes() == full.state["wide.weight"][2:4, 1:].tobytes()
        assert part.gradients["wide.weight"].tobytes() == full.gradients["wide.weight"][2:4, 1:].tobytes()
        assert part.state["head.bias"].tobytes() == full.state["head.bias"].tobytes()
        assert "groups.weight" not in part.state
        assert all(np.isfinite(array).all() for array in part.state.values())
