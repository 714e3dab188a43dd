"""Programs of an observer: one that returns more serves for less."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.explain import programs
from opsin.explain.attribution import question
from opsin.explain.attribution.question import batches
from opsin.explain.observer import Observer
from opsin.explain.stages import find_stages
from tests.explain.networks import images, model_of, pooled


def test_a_program_of_more_gradients_serves_for_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(pooled())
    pixels, weights = images(model), {"logits": np.eye(4, dtype=np.float32)[1:2]}
    tensors = [step.output for stage in find_stages(model.graph, model.layers) for step in stage.steps]
    wide, narrow = Observer(model), Observer(model)
    wide.gradients(pixels, weights, tensors, tensors)
    few = tensors[3:1:-1]
    expected = narrow.gradients(pixels, weights, few, tensors[2:3])
    monkeypatch.setattr(wide, "_unloaded", lambda graph, batch: pytest.fail("another program was compiled"))
    score, gradients, values = wide.gradients(pixels, weights, few, tensors[2:3])
    np.testing.assert_array_equal(score, expected[0])
    for found, wanted in zip([*gradients, *values], [*expected[1], *expected[2]], strict=True):
        assert found.tobytes() == wanted.tobytes()
    monkeypatch.undo()
    two = wide.gradients(images(model, 2), {"logits": np.eye(4, dtype=np.float32)[1:3]}, few)
    assert len(two[0]) == 2


def test_few_images_are_run_one_by_one_and_many_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Observer(model_of(pooled()))
    monkeypatch.setattr(question, "MAX_BATCH", 8)
    inputs = np.arange(11, dtype=np.float32).reshape(11, 1, 1, 1)
    assert [part.ravel().tolist() for part in batches(observer, inputs[:2])] == [[0], [1]]
    first, second = batches(observer, inputs)
    assert first.ravel().tolist() == list(range(8)) and second.ravel().tolist() == [8, 9, 10, 10, 10, 10, 10, 10]
    monkeypatch.setattr(question, "BATCH_VALUES", 4 * observer.values_of_image)
    assert [len(part) for part in batches(observer, inputs)] == [4, 4, 4]


def test_programs_beyond_the_memory_limit_are_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MIN_LIMIT", 0)
    monkeypatch.setattr(programs, "COPIES", 0)
    observer = Observer(model_of(pooled()))
    pixels, tensors = images(observer.model), list(observer.graph.outputs.values())
    (before,) = observer.run(pixels, tensors)
    first = observer.program(1, tensors)
    assert observer.program(1, tensors) is first
    observer.run(pixels, [observer.graph.inputs[0]])
    assert observer.program(1, tensors) is not first
    assert observer.run(pixels, tensors)[0].tobytes() == before.tobytes()


def test_a_state_reaches_programs_that_exist_and_others() -> None:
    model = model_of(pooled())
    observer, pixels, logits = Observer(model), images(model), [model.graph.outputs["logits"]]
    before = observer.run(pixels, logits)[0]
    observer.load_state({name: 2 * array for name, array in model.state.items()})
    (after,) = observer.run(pixels, logits)
    assert not np.array_equal(before, after)
    assert observer.run(pixels, [*logits, *observer.graph.inputs])[0].tobytes() == after.tobytes()
    observer.load_state(model.state)
    assert observer.run(pixels, logits)[0].tobytes() == before.tobytes()
