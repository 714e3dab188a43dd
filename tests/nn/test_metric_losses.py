"""Losses of embeddings and their gradients against formulas in PyTorch, degenerate batches, and errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import cos, pi, sin
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.native import compile as compile_native
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import BATCH, INT, Graph, input_tensor
from opsin.nn import metric_losses as losses
from tests.nn.support import value_and_gradients
from tests.support import Array, feed, relative_error, symbolic

try:
    import torch
    from torch.nn.functional import cross_entropy, normalize

    torch.set_num_threads(1)
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed; it is an optional extra")


def softmax_with(change: Callable[[Any], Any], embeddings: Any, labels: Any, prototypes: Any, scale: float) -> Any:
    cosines = normalize(embeddings) @ normalize(prototypes).T
    true = torch.nn.functional.one_hot(labels.long(), len(prototypes)).bool()
    return cross_entropy(scale * torch.where(true, change(cosines), cosines), labels.long())


def cosface(embeddings: Any, labels: Any, prototypes: Any) -> Any:
    return softmax_with(lambda c: c - 0.35, embeddings, labels, prototypes, 30)


def arcface(embeddings: Any, labels: Any, prototypes: Any) -> Any:
    def turned(c: Any) -> Any:
        angle = torch.arccos(c.clamp(-1 + 1e-12, 1 - 1e-12))
        return torch.where(angle + 0.5 < pi, torch.cos(angle + 0.5), c - 0.5 * sin(0.5))

    return softmax_with(turned, embeddings, labels, prototypes, 30)


def triplet(embeddings: Any, labels: Any) -> Any:
    distances = ((embeddings[:, None] - embeddings[None]) ** 2).sum(2).clamp_min(1e-12).sqrt()
    same = labels[:, None] == labels[None]
    terms = [
        (d[s].amax() - d[~s].amin() + 0.2).clamp_min(0)
        for d, s in zip(distances, same, strict=True) if s.sum() > 1 and not s.all()
    ]  # fmt: skip
    return torch.stack(terms).mean() if terms else 0 * embeddings.sum()


def supervised_contrastive(embeddings: Any, labels: Any, instances: Any) -> Any:
    unit, terms = normalize(embeddings), []
    for row in range(len(unit)):
        others = [other for other in range(len(unit)) if other != row]
        if positives := [place for place, other in enumerate(others) if labels[other] == labels[row]]:
            terms.append(-torch.log_softmax(unit[others] @ unit[row] / 0.1, 0)[positives].mean())
    return torch.stack(terms).mean() if terms else 0 * embeddings.sum()


def nt_xent(first: Any, second: Any, instances: Any) -> Any:
    unit = normalize(torch.cat([first, second]))
    logits = (unit @ unit.T / 0.5).masked_fill(torch.eye(len(unit)).bool(), -torch.inf)
    return cross_entropy(logits, torch.arange(len(unit)).roll(len(first)))


def vicreg(first: Any, second: Any) -> Any:
    total = 25 * ((first - second) ** 2).mean()
    for views in (first, second):
        deviation = (views.var(0, unbiased=True) + 1e-4).sqrt()
        covariance = torch.cov(views.T).reshape(views.shape[1], -1)
        total = total + 25 * (1 - deviation).clamp_min(0).mean()
        total = total + (covariance**2).sum() / len(covariance) - (covariance.diagonal() ** 2).sum() / len(covariance)
    return total


def barlow_twins(first: Any, second: Any) -> Any:
    one, other = (torch.nn.functional.batch_norm(views, None, None, training=True) for views in (first, second))
    difference = (one.T @ other / len(first) - torch.eye(first.shape[1])) ** 2
    return difference.diagonal().sum() + 0.005 * (difference.sum() - difference.diagonal().sum())


def inputs(name: str, count: int, width: int, rng: np.random.Generator) -> tuple[Array, ...]:
    """Random arguments of a loss; `count` images of a few identities."""
    one, other = rng.standard_normal((2, count, width))
    labels = rng.integers(0, max(2, count // 3), count, np.int32)
    numbers = np.asarray(rng.permutation(count), np.int32)
    return {
        "cosface": (one, labels, rng.standard_normal((max(2, count // 3) + 1, width))),
        "arcface": (one, labels, rng.standard_normal((max(2, count // 3) + 1, width))),
        "triplet": (one, labels),
        "supervised_contrastive": (one, labels, numbers),
        "nt_xent": (one, other, numbers),
        "vicreg": (one, other),
        "barlow_twins": (one, other),
    }[name]


THEIRS = {
    each.__name__: each for each in (cosface, arcface, triplet, supervised_contrastive, nt_xent, vicreg, barlow_twins)
}


def native(function: Callable[..., Any], *arrays: Array) -> list[Array]:
    """A loss and its gradients in float32 as machine code."""
    tensors = symbolic(arrays)
    value = function(*tensors)
    wrt = [tensor for tensor, array in zip(tensors, arrays, strict=True) if array.dtype.kind == "f"]
    gradients = {f"d{i}": g for i, g in enumerate(ops.gradients(value, wrt))}
    graph = Graph(tensors, {"value": value, **gradients}).verify()
    program = compile_native(graph, 1)
    program.load_state(nn.initial_state(graph, 0))
    floats = [array.astype(np.float32) if array.dtype.kind == "f" else array for array in arrays]
    return list(program.run(**feed(floats)).values())


@needs_torch
@pytest.mark.parametrize(("count", "width"), [(2, 5), (7, 3), (33, 17)])
@pytest.mark.parametrize("name", THEIRS)
def test_value_and_gradients_are_those_of_pytorch(name: str, count: int, width: int, rng: np.random.Generator) -> None:
    arrays, ours = inputs(name, count, width, rng), getattr(losses, name)
    tensors = [torch.from_numpy(a).requires_grad_() if a.dtype.kind == "f" else torch.from_numpy(a) for a in arrays]
    expected = THEIRS[name](*tensors)
    expected.backward()
    grads = [tensor.grad.numpy() for tensor in tensors if tensor.requires_grad]
    exact_value, exact_gradients = value_and_gradients(ours, *arrays)
    value, *gradients = native(ours, *arrays)
    scale = 1 + abs(expected.item())
    assert abs(exact_value - expected.item()) < 1e-9 * scale
    assert abs(value - expected.item()) < 1e-5 * scale
    for exact, actual, grad in zip(exact_gradients, gradients, grads, strict=True):
        assert relative_error(exact, grad) < 1e-9 or abs(exact - grad).max() < 1e-9
        assert relative_error(actual, grad) < 1e-5 or abs(actual - grad).max() < 1e-6


def test_arcface_falls_on_where_the_turned_angle_would_pass_pi() -> None:
    angles = np.array([0.1, pi - 0.4, pi - 0.01])
    embeddings, prototypes = np.stack([np.cos(angles), np.sin(angles)], 1), np.array([[1.0, 0.0], [0.0, -1.0]])
    values = [
        value_and_gradients(partial(losses.arcface, scale=1.0), row[None], np.zeros(1, np.int32), prototypes)[0]
        for row in embeddings
    ]
    logits = [cos(0.6), cos(pi - 0.4) - 0.5 * sin(0.5), cos(pi - 0.01) - 0.5 * sin(0.5)]
    expected = [np.log(1 + np.exp(-np.sin(angle) - logit)) for angle, logit in zip(angles, logits, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]], ids=["one identity", "all different"])
def test_triplets_without_positive_or_negative_are_no_loss(labels: list[int], rng: np.random.Generator) -> None:
    value, (gradient,) = value_and_gradients(losses.triplet, rng.standard_normal((4, 3)), np.array(labels, np.int32))
    assert value == 0
    assert not gradient.any()


def test_contrast_without_positives_is_no_loss(rng: np.random.Generator) -> None:
    numbers = np.arange(4, dtype=np.int32)
    value, (gradient,) = value_and_gradients(
        losses.supervised_contrastive, rng.standard_normal((4, 3)), numbers, numbers
    )
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("name", THEIRS)
def test_zero_vectors_and_equal_images_leave_gradients_finite(name: str, rng: np.random.Generator) -> None:
    arrays = inputs(name, 6, 4, rng)
    for array in arrays:
        if array.dtype.kind == "f":
            array[0] = 0
            array[2] = array[1]
    value, *gradients = native(getattr(losses, name), *arrays)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", ["nt_xent", "vicreg", "barlow_twins", "cosface"])
def test_a_single_image_has_a_finite_loss(name: str, rng: np.random.Generator) -> None:
    value, *gradients = native(getattr(losses, name), *inputs(name, 1, 4, rng))
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_the_batch_may_be_free() -> None:
    embeddings, labels = input_tensor("e", (BATCH, 3)), input_tensor("l", (BATCH,), INT)
    graph = Graph((embeddings, labels), {
        "triplet": losses.triplet(embeddings, labels),
        "contrastive": losses.supervised_contrastive(embeddings, labels, labels),
        "nt_xent": losses.nt_xent(embeddings, embeddings, labels),
    })  # fmt: skip
    outputs = compile_native(graph.verify(), 2).run(e=np.eye(2, 3, dtype=np.float32), l=np.array([0, 1], np.int32))
    assert outputs["triplet"] == 0
    assert np.isfinite(list(outputs.values())).all()


def test_errors() -> None:
    embeddings, labels = input_tensor("e", (4, 3)), input_tensor("l", (4,), INT)
    with pytest.raises(ShapeError, match="triplet: expected embeddings N × dimensions and N whole numbers"):
        losses.triplet(embeddings, input_tensor("l", (5,), INT))
    with pytest.raises(ShapeError, match="cosface: expected prototypes identities × 3"):
        losses.cosface(embeddings, labels, input_tensor("p", (9, 2)))
    with pytest.raises(UsageError, match="scale and margin are at least 0"):
        losses.cosface(embeddings, labels, input_tensor("p", (9, 3)), margin=-1.0)
    with pytest.raises(UsageError, match="angle in radians"):
        losses.arcface(embeddings, labels, input_tensor("p", (9, 3)), margin=4.0)
    with pytest.raises(UsageError, match="temperature is above 0"):
        losses.supervised_contrastive(embeddings, labels, labels, temperature=0.0)
    with pytest.raises(ShapeError, match="nt_xent: expected two views"):
        losses.nt_xent(embeddings, input_tensor("f", (4, 2)), labels)
    with pytest.raises(ShapeError, match="vicreg: expected two views"):
        losses.vicreg(embeddings, labels)
    with pytest.raises(UsageError, match="weight of redundancy is at least 0"):
        losses.barlow_twins(embeddings, embeddings, redundancy=-1.0)
