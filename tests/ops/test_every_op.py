"""Properties of every registered operation, on random cases."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.backends.base import dtype_of, sizes
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError
from opsin.ir import FLOAT, Type
from opsin.ops import OPS, Sample
from tests.support import (
    QUANTIZED,
    Array,
    backward_graph,
    cases,
    feed,
    forward_graph,
    generator,
    relative_error,
    symbolic,
)

COUNT = 60
EVERY = sorted(OPS)
DIFFERENTIABLE = [name for name in EVERY if cases(name, generator(name), 1)[0].differentiable]
LINEAR = [
    "add", "subtract", "negate", "broadcast_to", "sum", "reshape", "transpose", "slice", "pad", "concat",
    "avg_pool2d", "avg_pool2d_grad", "resample2d", "gather", "scatter_add",
]  # fmt: skip
BILINEAR = [
    "multiply", "matmul", "conv2d", "conv_transpose2d", "conv2d_weight", "conv3d", "conv_transpose3d", "conv3d_weight",
]  # fmt: skip


def test_smooth_operations_have_differentiable_samples() -> None:
    flat = {
        "argmax",
        "bernoulli",
        "cast",
        "constant",
        "ctc_loss_gradient",
        "equal",
        "fake_quantize",
        "greater",
        "max_pool2d_grad",
        "one_hot",
        "sign",
    }
    assert set(EVERY) - set(DIFFERENTIABLE) == flat | {"stop_gradient", *QUANTIZED}


@pytest.mark.parametrize("name", EVERY)
def test_results_have_the_inferred_shape_and_precision(name: str) -> None:
    op = OPS[name]
    for sample in cases(name, generator("meaning", name), COUNT):
        kind = op.infer(*(tensor.type for tensor in symbolic(sample.inputs)), **sample.attrs)
        assert isinstance(kind, Type)
        exact = np.asarray(op.evaluate(*sample.inputs, **sample.attrs))
        assert exact.shape == kind.shape
        assert exact.dtype == dtype_of(kind, np.float64)
        singles = [a.astype(np.float32) if a.dtype == np.float64 else a for a in sample.inputs]
        rough = np.asarray(op.evaluate(*singles, **sample.attrs))
        if kind.dtype == FLOAT and any(a.dtype == np.float32 for a in singles):
            assert rough.dtype == np.float32, "silently computed in another precision"
        assert relative_error(rough, exact) < 2e-5


@pytest.mark.parametrize("name", EVERY)
def test_evaluation_does_not_change_its_inputs(name: str) -> None:
    for sample in cases(name, generator("operands", name), 5):
        before = [array.copy() for array in sample.inputs]
        OPS[name].evaluate(*sample.inputs, **sample.attrs)
        assert all(np.array_equal(a, b) for a, b in zip(sample.inputs, before, strict=True))


def backward(name: str, sample: Sample, rng: np.random.Generator) -> tuple[dict[str, Array], Array]:
    """The outputs of the backward graph in float64, and the gradient g that was fed."""
    inputs = symbolic(sample.inputs)
    graph = backward_graph(inputs, OPS[name](*inputs, **sample.attrs).output, sample.differentiable).verify()
    g = np.asarray(rng.standard_normal(sizes(graph.outputs["y"].type)))
    return Reference(graph, 1, np.float64).run(**feed(sample.inputs), g=g), g


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_agrees_with_central_differences(name: str) -> None:
    op, rng, step = OPS[name], generator("gradient", name), 1e-6
    for sample in cases(name, rng, COUNT):
        found, g = backward(name, sample, rng)
        for index in sample.differentiable:
            way = np.asarray(rng.standard_normal(sample.inputs[index].shape))
            ends = []
            for sign in (1.0, -1.0):
                moved = list(sample.inputs)
                moved[index] = moved[index] + sign * step * way
                ends.append(np.asarray(op.evaluate(*moved, **sample.attrs)))
            numeric = float(np.sum(g * (ends[0] - ends[1]))) / (2 * step)
            products = found[f"d{index}"] * way
            scale = np.sqrt(np.sum(products**2)) + 1e-3
            assert abs(float(np.sum(products)) - numeric) < 1e-6 * scale, f"input {index} of {sample.attrs}"


@pytest.mark.parametrize("name", LINEAR + BILINEAR)
def test_gradient_is_the_adjoint(name: str) -> None:
    """⟨A x, g⟩ = ⟨x, Aᵀ g⟩, exactly but for rounding: for a linear map of all inputs, or of each one."""
    rng = generator("adjoint", name)
    for sample in cases(name, rng, COUNT):
        found, g = backward(name, sample, rng)
        left = float(np.sum(found["y"] * g))
        right = [float(np.sum(sample.inputs[i] * found[f"d{i}"])) for i in sample.differentiable]
        scale = float(np.sqrt(np.sum(g**2) * np.sum(found["y"] ** 2))) + 1e-3
        for product in right if name in BILINEAR else [sum(right)]:
            assert abs(left - product) < 1e-12 * scale


def test_max_pooling_has_no_second_gradient() -> None:
    (sample,) = cases("max_pool2d_grad", generator("end"), 1)
    graph = forward_graph("max_pool2d_grad", sample)
    with pytest.raises(GraphError, match="can be differentiated once, not twice"):
        backward_graph(graph.inputs, graph.outputs["y"], [1])
