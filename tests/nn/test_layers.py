"""Every layer against PyTorch's of the same name, with the same weights; and its behaviour during training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.base.errors import UsageError
from tests.nn.support import Of, forward, loaded
from tests.support import relative_error

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed; it is an optional extra")

Theirs = Callable[[Any], Any]
PAIRS: dict[str, tuple[nn.Layer, Theirs]] = {
    "conv": (nn.Conv2d(5, 3), lambda t: t.Conv2d(4, 5, 3)),
    "conv, everything": (
        nn.Conv2d(6, (3, 2), (2, 1), padding=(2, 1), dilation=(1, 2), groups=2, bias=False),
        lambda t: t.Conv2d(4, 6, (3, 2), (2, 1), (2, 1), (1, 2), 2, False),
    ),
    "conv, same size": (
        nn.Conv2d(5, (5, 3), padding="same", dilation=(1, 2)),
        lambda t: t.Conv2d(4, 5, (5, 3), padding="same", dilation=(1, 2)),
    ),
    "conv, half the size": (  # TensorFlow's "SAME": 9 × 7 → 5 × 4; more is padded below and on the right
        nn.Sequential(nn.Identity(), nn.Conv2d(5, (4, 3), 2, padding="same")),
        lambda t: t.Sequential(t.ZeroPad2d((1, 1, 1, 2)), t.Conv2d(4, 5, (4, 3), 2)),
    ),
    "conv, a kernel smaller than its stride": (nn.Conv2d(5, 1, 2, padding="same"), lambda t: t.Conv2d(4, 5, 1, 2)),
    "conv transposed": (nn.ConvTranspose2d(5, 3), lambda t: t.ConvTranspose2d(4, 5, 3)),
    "conv transposed, everything": (
        nn.ConvTranspose2d(6, 3, 2, padding=1, output_padding=1, groups=2, bias=False, dilation=2),
        lambda t: t.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False, 2),
    ),
    "conv transposed, padded beyond its stride": (
        nn.ConvTranspose2d(3, 3, dilation=3, output_padding=2),
        lambda t: t.ConvTranspose2d(4, 3, 3, 1, 0, 2, dilation=3),
    ),
    "max pool with holes": (
        nn.MaxPool2d((3, 2), 2, 1, True, (2, 3)),
        lambda t: t.MaxPool2d((3, 2), 2, 1, (2, 3), ceil_mode=True),
    ),
    "average pool with a divisor": (
        nn.AvgPool2d(3, 2, 1, True, divisor_override=5),
        lambda t: t.AvgPool2d(3, 2, 1, True, divisor_override=5),
    ),
    "average pool with a divisor, inside": (
        nn.AvgPool2d((3, 2), divisor_override=-2),
        lambda t: t.AvgPool2d((3, 2), divisor_override=-2),
    ),
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(3)), lambda t: t.Sequential(t.Flatten(), t.Linear(252, 3))),
    "linear without bias": (
        nn.Sequential(nn.Flatten(), nn.Linear(3, bias=False)),
        lambda t: t.Sequential(t.Flatten(), t.Linear(252, 3, bias=False)),
    ),
    "max pool": (nn.MaxPool2d(3, 2, 1, ceil_mode=True), lambda t: t.MaxPool2d(3, 2, 1, ceil_mode=True)),
    "max pool, tiling": (nn.MaxPool2d((2, 3)), lambda t: t.MaxPool2d((2, 3))),
    "average pool": (
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        lambda t: t.AvgPool2d(3, 2, 1, True, False),
    ),
    "l2 pool": (nn.L2Pool2d(3, 2), lambda t: t.LPPool2d(2, 3, 2)),
    "global average pool": (nn.GlobalAvgPool2d(), lambda t: t.AdaptiveAvgPool2d(1)),
    "global max pool": (nn.GlobalMaxPool2d(), lambda t: t.AdaptiveMaxPool2d(1)),
    "adaptive pool": (nn.AdaptiveAvgPool2d((3, 4)), lambda t: t.AdaptiveAvgPool2d((3, 4))),
    "relu": (nn.ReLU(), lambda t: t.ReLU()),
    "leaky relu": (nn.LeakyReLU(0.2), lambda t: t.LeakyReLU(0.2)),
    "relu6": (nn.ReLU6(), lambda t: t.ReLU6()),
    "tanh": (nn.Tanh(), lambda t: t.Tanh()),
    "sigmoid": (nn.Sigmoid(), lambda t: t.Sigmoid()),
    "silu": (nn.SiLU(), lambda t: t.SiLU()),
    "hard swish": (nn.HardSwish(), lambda t: t.Hardswish()),
    "gelu": (nn.GELU(), lambda t: t.GELU()),
    "softmax": (nn.Softmax(), lambda t: t.Softmax(1)),
    "log softmax": (nn.LogSoftmax(dim=3), lambda t: t.LogSoftmax(3)),
    "batch norm": (nn.BatchNorm2d(eps=1e-3), lambda t: t.BatchNorm2d(4, eps=1e-3)),
    "local response norm": (nn.LocalResponseNorm(3, 0.1, 0.6, 2.0), lambda t: t.LocalResponseNorm(3, 0.1, 0.6, 2.0)),
    "dropout": (nn.Dropout(0.3), lambda t: t.Dropout(0.3)),
    "upsample": (nn.Upsample(2), lambda t: t.Upsample(scale_factor=2)),
    "upsample to a size": (
        nn.Upsample(size=(10, 13), mode="bilinear_corners"),
        lambda t: t.Upsample(size=(10, 13), mode="bilinear", align_corners=True),
    ),
    "flatten": (nn.Flatten(), lambda t: t.Flatten()),
    "identity": (nn.Identity(), lambda t: t.Identity()),
}


@needs_torch
@pytest.mark.parametrize("case", PAIRS)
def test_layers_match_pytorch(case: str, rng: np.random.Generator) -> None:
    ours, theirs = PAIRS[case]
    module = theirs(torch.nn).double().eval()
    state = {
        name: abs(rng.standard_normal(tuple(value.shape))) + 0.1
        for name, value in module.state_dict().items()
        if name != "num_batches_tracked"
    }
    module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=False)
    x = 3 * rng.standard_normal((2, 4, 9, 7))
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    actual = forward(ours, x, state)
    assert actual.shape == expected.shape
    assert relative_error(actual, expected) < 1e-12


@needs_torch
def test_batch_norm_training_matches_pytorch(rng: np.random.Generator) -> None:
    layer, module = nn.BatchNorm2d(momentum=0.3), torch.nn.BatchNorm2d(3, momentum=0.3).double().train()
    program = loaded(nn.trace(layer, (3, 5, 4), training=True), 6)
    for scale in (1.0, 4.0, 0.1, 2.0):
        x = scale * rng.standard_normal((6, 3, 5, 4)) + scale
        actual, expected = program.run(inputs=x)["logits"], module(torch.from_numpy(x)).detach().numpy()
        assert relative_error(actual, expected) < 1e-10
        for name in ("running_mean", "running_var"):
            assert relative_error(program.state()[name], module.state_dict()[name].numpy()) < 1e-12


def test_batch_norm_used_twice_updates_twice(rng: np.random.Generator) -> None:
    norm = nn.BatchNorm2d(momentum=0.5)
    program = loaded(nn.trace(nn.Sequential(norm, norm), (1, 2, 2), training=True), 3)
    x = rng.standard_normal((3, 1, 2, 2)) + 4
    program.run(inputs=x)
    # The first use sees mean m, the second a mean of 0: ½(½·0 + ½m) + ½·0.
    assert program.state()["0.running_mean"] == pytest.approx(x.mean() / 4)


def test_the_variance_of_a_single_number_stays_finite() -> None:
    program = loaded(nn.trace(nn.BatchNorm2d(), (1, 1, 1), training=True), 1)
    assert program.run(inputs=np.full((1, 1, 1, 1), 7.0))["logits"] == 0
    assert program.state()["running_var"] == pytest.approx(0.9)
    assert program.state()["running_mean"] == pytest.approx(0.7)


def test_batch_norm_is_updated_only_during_training() -> None:
    assert not nn.trace(nn.BatchNorm2d()).updates
    assert set(nn.trace(nn.BatchNorm2d(), training=True).updates) == {"running_mean", "running_var"}


def two_dropouts(p: float) -> nn.Layer:
    """Two dropouts side by side, as two channels."""
    return Of(lambda self, x: ops.concat([self.left(x), self.right(x)], 1), left=nn.Dropout(p), right=nn.Dropout(p))


def test_dropout_keeps_the_expected_fraction_and_sum() -> None:
    program = loaded(nn.trace(two_dropouts(0.25), (1, 40, 50), training=True), 4)
    y = program.run(inputs=np.ones((4, 1, 40, 50)))["logits"]
    assert np.unique(y) == pytest.approx([0, 1 / 0.75])
    assert y.mean() == pytest.approx(1, abs=0.03)


def test_dropout_depends_on_layer_step_and_seed() -> None:
    graph, ones = nn.trace(two_dropouts(0.5), (1, 9, 9), training=True), np.ones((2, 1, 9, 9))
    program, same, other = (loaded(graph, 2, seed=seed) for seed in (1, 1, 2))
    first, second = (program.run(inputs=ones)["logits"] for _ in range(2))
    assert not np.array_equal(first[:, 0], first[:, 1])
    assert not np.array_equal(first, second)
    assert np.array_equal(first, same.run(inputs=ones)["logits"])
    assert not np.array_equal(first, other.run(inputs=ones)["logits"])
    assert program.state()["random.step"] == 2
    assert program.state()["random.seed"] == 1


def test_stochastic_depth_drops_whole_images() -> None:
    program = loaded(nn.trace(nn.StochasticDepth(0.25), (2, 3, 5), training=True), 400)
    y = program.run(inputs=np.ones((400, 2, 3, 5)))["logits"].reshape(400, -1)
    assert np.unique(y) == pytest.approx([0, 1 / 0.75])
    assert np.array_equal(y.min(1), y.max(1))
    assert y.mean() == pytest.approx(1, abs=0.1)
    assert not np.array_equal(y[:, 0], program.run(inputs=np.ones((400, 2, 3, 5)))["logits"][:, 0, 0, 0])


def test_stochastic_depth_is_the_identity_in_inference() -> None:
    assert not nn.trace(nn.StochasticDepth(0.5)).variables
    assert not nn.trace(nn.StochasticDepth(0), training=True).variables


def test_dropout_is_the_identity_in_inference() -> None:
    graph = nn.trace(two_dropouts(0.5))
    assert not graph.variables
    assert not graph.updates
    assert not nn.trace(nn.Dropout(0), training=True).variables


def test_a_zero_divisor_is_an_error() -> None:
    with pytest.raises(UsageError, match="AvgPool2d: divisor_override is a number to divide by, not 0; leave it out"):
        nn.AvgPool2d(2, divisor_override=0)
