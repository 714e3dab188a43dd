"""Backpropagation: every step's gradient, one element of it in numbers, and the lines of the backward graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.explain.backpropagation.chain import Chain
from opsin.explain.backpropagation.target import class_target, default_target, task_target
from opsin.explain.backpropagation.trace import trace as trace_image
from opsin.tasks.regression.task import Regression
from tests.explain.backpropagation.support import NETWORKS, model_of, trace, traced
from tests.model.test_onnx_import import classifier


@pytest.mark.parametrize("name", NETWORKS)
def test_examples_add_up(name: str) -> None:
    chain = Chain(*traced(name))
    worked = 0
    for step in chain.steps:
        example = chain.example(step)
        if example is None:
            continue
        worked += 1
        if chain.readers(step.sources[0]) == 1:
            assert example.total == pytest.approx(example.gradient, rel=1e-4), step.name
    assert worked >= len(chain.steps) * 0.7


def test_the_gradient_of_logits_is_p_minus_y() -> None:
    backward, step = traced("lenet5")
    logits = step.values[backward.network.outputs["logits"]][0].astype(np.float64)
    p = np.exp(logits - logits.max())
    expected = p / p.sum() - np.eye(10)[step.case.target.label]
    np.testing.assert_allclose(step.gradients[backward.network.outputs["logits"]][0], expected, atol=1e-6)


def test_the_way_to_a_layer_of_lenet5() -> None:
    chain = Chain(*traced("lenet5"))
    path = [(step.stage.name if step.stage else "", step.name) for step in chain.to("conv2.weight")]
    assert path == [
        ("", "loss"), ("fc3", "linear"), ("fc2", "ReLU"), ("fc2", "linear"), ("fc1", "ReLU"), ("fc1", "linear"),
        ("fc1", "flatten"), ("pool2", "2×2 max, /2"), ("conv2", "ReLU"), ("conv2", "5×5 conv"),
    ]  # fmt: skip
    by_name = {(step.stage.name, step.name): step for step in chain.to("conv2.weight") if step.stage}
    assert by_name["pool2", "2×2 max, /2"].lines[-1].partition(" = ")[2].startswith("max_pool2d_grad(")
    (line,) = chain.parameter_lines("conv2.weight")
    assert " = conv2d_weight(" in line and line in str(chain.backward.graph)


def test_every_line_of_the_backward_graph_belongs_to_a_step_or_a_parameter() -> None:
    chain = Chain(*traced("lenet5"))
    lines = {line for step in chain.steps for line in step.lines}
    lines |= {line for name in chain.backward.parameters for line in chain.parameter_lines(name)}
    forward = {chain.listing.lines[node] for node in chain.listing.forward}
    assert lines | forward == set(chain.listing.lines.values())


def test_a_residual_network_adds_the_gradients_of_both_branches() -> None:
    chain = Chain(*traced("resnet20"))
    shared = [step for step in chain.steps if step.stage and chain.readers(step.output) == 2]
    assert shared and all("2 steps read this map" in step.sentence for step in shared)
    assert any("copies the gradient" in step.sentence for step in chain.steps)


def test_an_imported_network(tmp_path: Path) -> None:
    chain = Chain(*trace(opsin.import_onnx(classifier(4).write(tmp_path / "small.onnx"))))
    names = [step.name for step in chain.to("c.weight")]
    assert names[0] == "loss" and names[-1] == "3×3 conv, /2" and "ReLU" in names


def test_the_default_target_leaves_something_to_learn() -> None:
    model = traced("lenet5")[0].model
    outputs = {"logits": np.array([[0, 9, 3, 0, 0, 0, 0, 0, 0, 0]], np.float32)}
    assert default_target(model, outputs).label == 2
    assert default_target(model, outputs, label=1).label == 2
    assert default_target(model, outputs, label=7).label == 7
    with pytest.raises(opsin.errors.UsageError, match="classes 0 to 9, not 10"):
        class_target(model, 10)


def test_everything_of_one_image() -> None:
    model = traced("lenet5")[0].model
    found = trace_image(model, np.full((28, 28), 90, np.uint8), class_target(model, 3))
    assert found.values.case.target.label == 3
    assert (
        found.terms.of("fc3.bias", (3,)).gradient
        == found.chain.values.gradients[found.backward.network.outputs["logits"]][0, 3]
    )
    assert found.differences.loss == pytest.approx(float(found.values.loss), rel=1e-5)
    assert set(found.updates.first) == set(found.backward.parameters)
    with pytest.raises(opsin.errors.DataError, match="one image at a time, not for 2"):
        trace_image(model, np.zeros((2, 1, 28, 28), np.uint8))


def test_other_tasks() -> None:
    task = Regression(("angle", "speed"), ("", ""), (1.0, 2.0), (3.0, 4.0), (True, False))
    network = nn.Sequential(
        ("conv", nn.Conv2d(3, 3)), ("relu", nn.ReLU()), ("flat", nn.Flatten()), ("head", nn.Linear(2))
    )
    model = replace(model_of(network, (1, 6, 6), 2), task=task)
    image = np.arange(36, dtype=np.uint8).reshape(1, 6, 6)
    outputs = model.outputs(image[None])["logits"][0].astype(np.float64)
    found = trace_image(model, image)
    assert float(found.values.loss) == pytest.approx(0.5 * np.sum(outputs**2), rel=1e-5)
    assert "all should be 0" in found.chain.steps[0].sentence
    values = np.array([[0.5, -0.5]], np.float32)
    found = trace_image(model, image, task_target(model, {"values": values}))
    delta = found.values.gradients[found.backward.network.outputs["logits"]][0]
    np.testing.assert_allclose(delta, outputs - values[0], rtol=1e-5)  # of the mean of two squares
