"""The steps of single numbers: their terms, sums and words."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.base.errors import UsageError
from opsin.data import Preprocessing
from opsin.explain.arithmetic.evaluate import evaluate
from opsin.explain.arithmetic.softmax import softmax_of
from opsin.explain.arithmetic.steps import StepValue, steps_of
from opsin.explain.observer import Observer
from opsin.explain.stages import Stage, Step, find_stages
from opsin.ir import Tensor, initial_state
from opsin.model import Model
from opsin.zoo import registry


def observer_of(network: nn.Layer, shape: tuple[int, int, int]) -> tuple[Observer, list[Stage]]:
    graph = nn.trace(network, shape)
    state = initial_state(graph, seed=4)
    model = Model("test", graph, state, preprocessing(shape), ["a"] * 10, nn.layer_kinds(network))
    return Observer(model), find_stages(graph, model.layers)


def preprocessing(shape: tuple[int, int, int]) -> Preprocessing:
    return Preprocessing(*shape, (0.5,) * shape[0], (0.25,) * shape[0])


def image(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, shape, np.uint8)


def find_step(stages: list[Stage], stage: str, name: str) -> Step:
    (step,) = [step for s in stages if s.name == stage for step in s.steps if step.name == name]
    return step


@pytest.fixture(scope="module")
def lenet() -> tuple[Observer, list[Stage]]:
    return observer_of(registry.create("lenet5"), (1, 28, 28))


def value(lenet: tuple[Observer, list[Stage]], stage: str, name: str, place: tuple[int, ...]) -> StepValue:
    observer, stages = lenet
    return steps_of(observer, image((1, 28, 28)), find_step(stages, stage, name), place)


def test_convolution(lenet: tuple[Observer, list[Stage]]) -> None:
    result = value(lenet, "conv1", "5×5 conv", (3, 0, 27))
    total, bias = result.operations
    assert result.is_exact
    assert (total.name, bias.name) == ("conv2d", "add")
    terms = total.terms
    assert terms is not None
    assert total.partial is not None
    assert terms.left.shape == (25, 1)
    # Two rows above the image and two columns to the right of it: 9 of 25 terms are inside.
    assert terms.inside.sum() == 9
    assert not terms.left[~terms.inside].any()
    assert "16 of them are in the padding" in total.words
    products = terms.left.astype(np.float64) * terms.right
    assert products.sum() == pytest.approx(float(total.engine), rel=1e-5)
    assert total.partial[-1] == total.engine
    assert bias.operands[0] == total.engine
    assert bias.engine == np.float32(bias.operands[0] + bias.operands[1])


def test_max_pooling_has_a_winner(lenet: tuple[Observer, list[Stage]]) -> None:
    (operation,) = value(lenet, "pool1", "2×2 max, /2", (1, 5, 6)).operations
    assert operation.terms is not None
    assert operation.winner is not None
    assert operation.terms.left[operation.winner, 0] == operation.engine == operation.terms.left.max()
    assert operation.terms.sources[operation.winner, 0].tolist()[2] in (10, 11)


def test_fully_connected_and_activation(lenet: tuple[Observer, list[Stage]]) -> None:
    product, _ = value(lenet, "fc1", "linear", (7,)).operations
    assert product.terms is not None
    assert product.terms.left.shape == (400, 1)
    assert product.is_exact
    (relu,) = value(lenet, "fc1", "ReLU", (7,)).operations
    assert relu.engine == max(relu.operands[0], 0)


def test_a_place_outside_is_refused(lenet: tuple[Observer, list[Stage]]) -> None:
    with pytest.raises(UsageError, match=r"the place \(6, 0, 0\) is outside the output of '5×5 conv', \(6, 28, 28\)"):
        value(lenet, "conv1", "5×5 conv", (6, 0, 0))


def test_winograd_is_another_order() -> None:
    observer, stages = observer_of(nn.Sequential(nn.Conv2d(32, 3, padding=1)), (32, 32, 32))
    step = stages[1].steps[0]
    direct = steps_of(observer, image((32, 32, 32)), step, (5, 9, 9))
    fast = steps_of(Observer(observer.model, exact=False), image((32, 32, 32)), step, (5, 9, 9))
    assert direct.is_exact
    assert not fast.is_exact
    assert 0 < abs(fast.operations[0].gap) < 1e-4
    assert "in another way" in fast.operations[0].words
    assert "in another way" not in direct.operations[0].words


def test_softmax(lenet: tuple[Observer, list[Stage]]) -> None:
    observer, _ = lenet
    logits = np.random.default_rng(8).standard_normal((2, 10)).astype(np.float32)
    softmax = softmax_of(observer, logits)
    shares = softmax.values[softmax.step.output]
    powers = np.exp(logits.astype(np.float64))
    assert shares == pytest.approx(powers / powers.sum(1, keepdims=True), rel=1e-5)
    assert [node.op.name for node in softmax.step.nodes] == ["max", "subtract", "exp", "sum", "divide"]
    maximum, _, power, total, quotient = (node.output for node in softmax.step.nodes)
    order = softmax.orders[total]
    for row, place in ((0, 3), (1, 9)):
        values = {t: each[row : row + 1] for t, each in softmax.values.items()}
        places = np.array([[0, place]])
        for tensor in (maximum, total, quotient):
            node = tensor.node
            own = places * (np.array(values[tensor].shape) > 1)
            got = evaluate(node, [values[t] for t in node.inputs], own, order)
            assert got is not None
            assert got.tobytes() == values[tensor][tuple(own.T)].tobytes()
        assert evaluate(power.node, [values[power.node.inputs[0]]], places, None) is None


def test_transposed_convolution_shows_the_kernels_that_reach_a_place() -> None:
    network = nn.Sequential(nn.ConvTranspose2d(4, 3, stride=2, padding=1, bias=False))
    observer, stages = observer_of(network, (3, 5, 6))
    (result,) = steps_of(observer, image((3, 5, 6)), stages[1].steps[0], (2, 3, 4)).operations
    assert result.terms is not None
    # Row 3 lies between rows 1 and 2 of the input, and column 4 on column 2: two taps, of three channels.
    assert sorted(map(tuple, result.terms.sources[:, 0, 2:].tolist())) == [(1, 2)] * 3 + [(2, 2)] * 3
    products = result.terms.left.astype(np.float64) * result.terms.right
    assert result.is_exact
    assert products.sum() == pytest.approx(float(result.engine), rel=1e-5)


def test_resampling_is_a_weighted_mean() -> None:
    class Enlarged(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            return ops.upsample(x, 2, mode="bilinear")

    observer, stages = observer_of(Enlarged(), (3, 5, 6))
    pixels = image((3, 5, 6))
    (result,) = steps_of(observer, pixels, stages[1].steps[0], (1, 3, 4)).operations
    assert result.terms is not None and result.is_exact
    # Row 3 has its centre at 1.25 of the input, and column 4 at 1.75.
    x = preprocessing((3, 5, 6)).apply(pixels[None])[0, 1].astype(np.float64)
    upper, lower = (0.25 * x[row, 1] + 0.75 * x[row, 2] for row in (1, 2))
    assert float(result.engine) == pytest.approx(0.75 * upper + 0.25 * lower, rel=1e-5)
    assert "multiplied by the weight of the row" in result.words


def test_a_factor_that_the_engine_moves_is_named() -> None:
    network = nn.Sequential(nn.HardSwish(), nn.GlobalAvgPool2d())
    observer, stages = observer_of(network, (3, 14, 14))
    step = next(step for stage in stages for step in stage.steps if any(n.op.name == "sum" for n in step.nodes))
    total = next(o for o in steps_of(observer, image((3, 14, 14)), step, (1, 0, 0)).operations if o.name == "sum")
    assert "moves a constant factor" in total.words
    assert abs(total.gap) <= 1e-5 * abs(float(total.engine))
