"""Losses of detectors against torchvision's, by what `tools/make_detector_fixtures.py` wrote down, and the mining."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin import ops
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.ir import Graph, Tensor, input_tensor
from opsin.tasks.detection.heads.losses import distance_iou, largest, quality_focal_loss
from tests.support import Array, generator, relative_error
from tests.zoo import drawn_detections

FOUND: dict[str, Array] = dict(np.load(Path(__file__).parents[3] / "zoo/fixtures/detectors.npz"))


def evaluate(outputs: dict[str, Tensor], **inputs: Array) -> dict[str, Array]:
    tensors = {node.attrs["name"]: node.output for node in Graph((), outputs).nodes if node.op.name == "input"}
    return Reference(Graph(tuple(tensors.values()), outputs), 1, np.float64).run(**inputs)


def test_the_focal_loss_is_torchvisions_for_labels() -> None:
    logits, labels = drawn_detections.logits(), drawn_detections.labels()
    x, t = input_tensor("x", logits.shape), input_tensor("t", labels.shape)
    loss = ops.sum(quality_focal_loss(x, t))
    (gradient,) = ops.gradients(loss, [x])
    assert gradient is not None
    found = evaluate({"loss": loss, "gradient": gradient}, x=logits, t=labels)
    assert found["loss"] == pytest.approx(FOUND["focal/loss"], rel=1e-12)
    assert relative_error(found["gradient"], FOUND["focal/gradient"]) < 1e-12


def test_a_score_equal_to_the_quality_costs_nothing() -> None:
    x, q = input_tensor("x", (3,)), input_tensor("q", (3,))
    loss = quality_focal_loss(x, q)
    (gradient,) = ops.gradients(ops.sum(loss), [x])
    assert gradient is not None
    quality = np.array([0.2, 0.5, 0.9])
    found = evaluate({"loss": loss, "gradient": gradient}, x=np.log(quality / (1 - quality)), q=quality)
    assert np.allclose(found["loss"], 0) and np.allclose(found["gradient"], 0)
    assert (evaluate({"loss": loss}, x=np.zeros(3), q=quality)["loss"] > 0).tolist() == [True, False, True]


def test_the_focal_loss_is_finite_for_large_logits() -> None:
    x, q = input_tensor("x", (4,)), input_tensor("q", (4,))
    loss = quality_focal_loss(x, q)
    (gradient,) = ops.gradients(ops.sum(loss), [x])
    assert gradient is not None
    found = evaluate({"y": loss, "g": gradient}, x=np.array([-800, 800, -800, 800]), q=np.array([0, 0, 1, 1]))
    assert np.allclose(found["y"], [0, 800, 800, 0])
    assert np.allclose(found["g"], [0, 1, -1, 0])


def test_the_generalized_iou_is_torchvisions() -> None:
    first, second = drawn_detections.distances()
    a, b = input_tensor("a", first.shape), input_tensor("b", second.shape)
    iou, generalized = distance_iou(a, b)
    loss = ops.sum(ops.subtract(1.0, generalized))
    (gradient,) = ops.gradients(loss, [a])
    assert gradient is not None
    found = evaluate({"loss": loss, "gradient": gradient, "iou": iou, "giou": generalized}, a=first, b=second)
    assert found["loss"] == pytest.approx(FOUND["giou/loss"], rel=1e-12)
    assert relative_error(found["gradient"], FOUND["giou/gradient"]) < 1e-12
    assert (found["giou"] <= found["iou"]).all() and (found["iou"] < 1).all()


def test_boxes_without_an_area_have_finite_gradients() -> None:
    a, b = input_tensor("a", (2, 4)), input_tensor("b", (2, 4))
    iou, generalized = distance_iou(a, b)
    gradients = ops.gradients(ops.sum(generalized), [a])
    assert gradients[0] is not None
    outputs = {"iou": iou, "giou": generalized, "gradient": gradients[0]}
    found = evaluate(outputs, a=np.zeros((2, 4)), b=np.array([[0.0] * 4, [1.0] * 4]))
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["iou"].tolist() == [0, 0]


def weights(values: Array, eligible: Array, counts: Array) -> list[Array]:
    """The weights that `largest` gives, in double precision and natively."""
    tensors = [input_tensor(name, x.shape) for name, x in (("v", values), ("e", eligible), ("c", counts))]
    graph = Graph(tuple(tensors), {"w": largest(*tensors)})
    inputs = {"v": values, "e": eligible, "c": counts}
    return [
        Reference(graph, 1, np.float64).run(**inputs)["w"],
        compile_native(graph, 1, threads=1).run(**{k: v.astype(np.float32) for k, v in inputs.items()})["w"],
    ]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_the_largest_values_have_a_weight_of_one(scale: float) -> None:
    rng = generator("largest", str(scale))
    values = rng.permuted(np.arange(1, 401).reshape(1, -1).repeat(3, 0), axis=1) * scale / 400
    eligible = (rng.random(values.shape) < 0.7).astype(np.float64)
    counts = np.array([[9.0], [1.0], [120.0]])
    for found in weights(values, eligible, counts):
        for row in range(3):
            order = np.argsort(-np.where(eligible[row] > 0, values[row], -1))[: int(counts[row, 0])]
            expected = np.zeros(400)
            expected[order] = 1
            assert np.array_equal(found[row], expected)


def test_none_few_and_equal_values() -> None:
    values = np.array([[3.0, 3.0, 1.0, 0.0], [3.0, 2.0, 1.0, 5.0], [0.0, 0.0, 0.0, 0.0], [4.0, 1.0, 4.0, 4.0]])
    eligible = np.array([[1.0, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]])
    counts = np.array([[0.0], [9.0], [2.0], [2.0]])
    third = 2 / 3
    expected = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [0.5, 0.5, 0.5, 0.5], [third, 0, third, third]])
    for found in weights(values, eligible, counts):
        assert np.allclose(found, expected)
