"""The loss of connectionist temporal classification: PyTorch's, borderline cases, engines, numbers of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin import ops as F
from opsin.backends.native import compile
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError, ShapeError
from opsin.ir import BATCH, INT, Graph, input_tensor


def graph(frames: int, classes: int, length: int) -> Graph:
    """Return the graph of the losses, and of the gradient of their sum."""
    logits, labels = input_tensor("logits", (BATCH, frames, classes)), input_tensor("labels", (BATCH, length), INT)
    loss = F.ctc_loss(logits, labels)
    (gradient,) = F.gradients(F.sum(loss), [logits])
    assert gradient is not None
    return Graph((logits, labels), {"loss": loss, "gradient": gradient})


def case(batch: int, frames: int, classes: int, length: int, scale: float = 3.0) -> dict[str, Any]:
    rng = np.random.default_rng(frames)
    labels = rng.integers(1, classes, (batch, length)).astype(np.int32)
    for row in labels:
        row[int(rng.integers(0, length + 1)) :] = -1
    return {"logits": (scale * rng.standard_normal((batch, frames, classes))).astype(np.float32), "labels": labels}


SIZES = [(1, 1, 2, 1), (4, 30, 11, 7), (3, 100, 29, 40), (2, 400, 5, 30), (5, 60, 300, 3)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_reference_is_pytorch(size: tuple[int, int, int, int]) -> None:
    torch = pytest.importorskip("torch")
    inputs = case(*size)
    found = Reference(graph(*size[1:]), size[0], np.float64).run(**inputs)
    logits = torch.tensor(inputs["logits"], dtype=torch.float64, requires_grad=True)
    labels, batch = torch.tensor(inputs["labels"]), size[0]
    lengths, frames = (labels > 0).sum(1), torch.full((batch,), size[1])
    scores = logits.log_softmax(2).transpose(0, 1)
    ctc = torch.nn.functional.ctc_loss
    loss = ctc(scores, labels.clamp(1).long(), frames, lengths, reduction="none", zero_infinity=True)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    loss = loss.detach().numpy()
    is_finite = np.isfinite(found["loss"])
    assert is_finite.all() or size[1] == 1
    np.testing.assert_allclose(np.where(is_finite, found["loss"], 0), loss, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found["gradient"], gradient.numpy(), atol=1e-9)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_native_engine_agrees(size: tuple[int, int, int, int]) -> None:
    inputs = case(*size)
    expected = Reference(graph(*size[1:]), size[0], np.float64).run(**inputs)
    found = compile(graph(*size[1:]), size[0], threads=2).run(**inputs)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
    tolerance = max(1e-5, 5e-8 * size[1])  # logarithms of float32 round in every frame
    np.testing.assert_allclose(found["gradient"], expected["gradient"], atol=tolerance)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    inputs = case(9, 50, 11, 7)
    results = [compile(graph(50, 11, 7), 9, threads=threads).run(**inputs) for threads in (1, 2, 3, 4)]
    for other in results[1:]:
        assert all(np.array_equal(results[0][name], other[name]) for name in other)


@pytest.mark.parametrize("engine", [Reference, compile])
def test_impossible_sequences_have_an_infinite_loss_and_no_gradient(engine: Any) -> None:
    labels = [[1, 2, -1], [1, 1, -1], [1, 2, 1], [7, -1, -1], [0, -1, -1], [-1, 2, 3]]
    logits = np.random.default_rng(0).standard_normal((6, 2, 4)).astype(np.float32)
    found = engine(graph(2, 4, 3), 6).run(logits=logits, labels=np.array(labels, np.int32))
    assert np.isinf(found["loss"]).tolist() == [False, True, True, True, True, False]
    assert [bool(each.any()) for each in found["gradient"]] == [True, False, False, False, False, True]


@pytest.mark.parametrize("engine", [Reference, compile])
def test_without_labels_every_frame_is_blank(engine: Any) -> None:
    logits = np.random.default_rng(1).standard_normal((1, 5, 3)).astype(np.float32)
    found = engine(graph(5, 3, 2), 1).run(logits=logits, labels=np.full((1, 2), -1, np.int32))
    probabilities = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    np.testing.assert_allclose(found["loss"], -np.log(probabilities[:, :, 0]).sum(), rtol=1e-5)


@pytest.mark.parametrize("engine", [Reference, compile])
def test_nan_and_confident_mistakes(engine: Any) -> None:
    """A NaN is noticed, and probabilities that float32 cannot hold are no reason for one."""
    inputs = case(3, 80, 6, 5)
    inputs["logits"][0, 40, 2] = np.nan
    inputs["logits"][1] *= 300
    found = engine(graph(80, 6, 5), 3).run(**inputs)
    assert np.isnan(found["loss"]).tolist() == [True, False, False]
    assert np.isfinite(found["loss"][1:]).all()
    assert np.isfinite(found["gradient"][1:]).all()


def test_wrong_operands_are_refused() -> None:
    logits, labels = input_tensor("x", (BATCH, 5, 3)), input_tensor("labels", (BATCH, 2), INT)
    with pytest.raises(ShapeError, match="labels are whole numbers"):
        F.ctc_loss(logits, input_tensor("labels", (BATCH, 2)))
    with pytest.raises(ShapeError, match="expected logits N × T × C"):
        F.ctc_loss(input_tensor("x", (BATCH, 3, 1, 5)), labels)
    with pytest.raises(ShapeError, match="at least a frame"):
        F.ctc_loss(input_tensor("x", (BATCH, 0, 3)), labels)
    (gradient,) = F.gradients(F.sum(F.ctc_loss(logits, labels)), [logits])
    assert gradient is not None
    with pytest.raises(GraphError, match="once, not twice"):
        F.gradients(F.sum(gradient), [logits])
