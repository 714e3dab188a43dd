"""Functions composed of primitives match PyTorch: values, and gradients for every input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from opsin import ops
from opsin.backends.base import sizes
from opsin.backends.reference import Reference
from opsin.ir import Graph, Tensor
from tests.support import Array, backward_graph, feed, generator, relative_error, symbolic

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
torch.set_num_threads(1)
F = torch.nn.functional

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Pair:
    """One of our functions, PyTorch's, and the shapes to try them on; the inputs from `positive` on are above 0."""

    ours: Callable[..., Tensor]
    theirs: Callable[..., Any]
    shapes: tuple[Shapes, ...]
    positive: int = 99


ANY: tuple[Shapes, ...] = (((),), ((1,),), ((3, 17),), ((2, 5, 1, 7),))
IMAGES: tuple[Shapes, ...] = (((1, 1, 1, 1),), ((2, 3, 7, 5),), ((3, 9, 8, 8),), ((1, 17, 3, 13),))

PAIRS: dict[str, Pair] = {
    "leaky_relu": Pair(lambda x: ops.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2), ANY),
    "relu6": Pair(lambda x: ops.relu6(ops.multiply(x, 5.0)), lambda x: F.relu6(x * 5), ANY),
    "silu": Pair(ops.silu, F.silu, ANY),
    "hard_swish": Pair(lambda x: ops.hard_swish(ops.multiply(x, 3.0)), lambda x: F.hardswish(x * 3), ANY),
    "hard_sigmoid": Pair(lambda x: ops.hard_sigmoid(ops.multiply(x, 3.0)), lambda x: F.relu6(x * 3 + 3) / 6, ANY),
    "gelu": Pair(ops.gelu, F.gelu, ANY),
    "clip": Pair(lambda x: ops.clip(x, -0.5, 0.7), lambda x: torch.clamp(x, -0.5, 0.7), ANY),
    "rsqrt": Pair(ops.rsqrt, torch.rsqrt, ANY, positive=0),
    "square": Pair(ops.square, torch.square, ANY),
    "softmax": Pair(lambda x: ops.softmax(ops.multiply(x, 9.0)), lambda x: F.softmax(x * 9, -1), ANY[1:]),
    "softmax by channel": Pair(lambda x: ops.softmax(x, 1), lambda x: F.softmax(x, 1), IMAGES),
    "log_softmax": Pair(lambda x: ops.log_softmax(x, 0), lambda x: F.log_softmax(x, 0), ANY[1:]),
    "mean": Pair(lambda x: ops.mean(x, (1, 3)), lambda x: x.mean((1, 3)), IMAGES),
    "mean of all": Pair(ops.mean, torch.mean, ANY),
    "variance": Pair(
        lambda x: ops.variance(x, (0, -1), keepdims=True),
        lambda x: x.var((0, -1), correction=0, keepdim=True),
        IMAGES,
    ),
    "sum": Pair(lambda x: ops.sum(x, -2, keepdims=True), lambda x: x.sum(-2, keepdim=True), IMAGES),
    "max": Pair(lambda x: ops.max(x, (2, 3)), lambda x: x.amax((2, 3)), IMAGES),
    "flatten": Pair(lambda x: ops.flatten(x, 2), lambda x: torch.flatten(x, 2), IMAGES),
    "squeeze": Pair(ops.squeeze, torch.squeeze, IMAGES),
    "reshape": Pair(lambda x: ops.reshape(x, (x.shape[0], -1, 1)), lambda x: x.reshape(len(x), -1, 1), IMAGES),
    "transpose": Pair(lambda x: ops.transpose(x, (0, 2, 3, 1)), lambda x: x.permute(0, 2, 3, 1), IMAGES),
    "narrow": Pair(lambda x: ops.narrow(x, 1, 1, 2), lambda x: x.narrow(1, 1, 2), IMAGES[1:]),
    "concat": Pair(
        lambda *xs: ops.concat(xs),
        lambda *xs: torch.cat(xs, 1),
        (((2, 3, 4, 4), (2, 1, 4, 4), (2, 8, 4, 4)), ((1, 1), (1, 3))),
    ),
    "linear": Pair(ops.linear, F.linear, (((1, 1), (1, 1), (1,)), ((5, 17), (9, 17), (9,)), ((2, 8), (33, 8)))),
    "global_avg_pool2d": Pair(ops.global_avg_pool2d, lambda x: F.adaptive_avg_pool2d(x, 1), IMAGES),
    "global_max_pool2d": Pair(ops.global_max_pool2d, lambda x: F.adaptive_max_pool2d(x, 1), IMAGES),
    "adaptive_avg_pool2d": Pair(
        lambda x: ops.adaptive_avg_pool2d(x, (3, 2)), lambda x: F.adaptive_avg_pool2d(x, (3, 2)), IMAGES
    ),
    "adaptive_avg_pool2d to itself": Pair(
        lambda x: ops.adaptive_avg_pool2d(x, 8), lambda x: F.adaptive_avg_pool2d(x, 8), IMAGES
    ),
    "l2_pool2d": Pair(lambda x: ops.l2_pool2d(x, 2, 1), lambda x: F.lp_pool2d(x, 2.0, 2, 1), IMAGES[1:]),
    "l2_pool2d, oblong": Pair(lambda x: ops.l2_pool2d(x, (3, 2)), lambda x: F.lp_pool2d(x, 2.0, (3, 2)), IMAGES[1:]),
    "batch_norm": Pair(
        lambda x, gamma, beta, mean, var: ops.batch_norm(x, gamma, beta, mean, var, 1e-3),
        lambda x, gamma, beta, mean, var: F.batch_norm(x, mean.detach(), var.detach(), gamma, beta, eps=1e-3),
        (((2, 3, 4, 5), (3,), (3,), (3,), (3,)), ((4, 17), (17,), (17,), (17,), (17,))),
        positive=4,
    ),
    "batch_norm_training": Pair(
        lambda x, gamma, beta: ops.batch_norm_training(x, gamma, beta, 1e-3)[0],
        lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-3),
        (((2, 3, 4, 5), (3,), (3,)), ((9, 17), (17,), (17,)), ((2, 1, 1, 1), (1,), (1,)), ((1, 8, 3, 3), (8,), (8,))),
    ),
    "local_response_norm": Pair(
        lambda x: ops.local_response_norm(x, 5, 0.3, 0.75, 2.0),
        lambda x: F.local_response_norm(x, 5, 0.3, 0.75, 2.0),
        IMAGES,
    ),
    "local_response_norm, even window": Pair(
        lambda x: ops.local_response_norm(x, 4, 0.3, 0.5, 1.0),
        lambda x: F.local_response_norm(x, 4, 0.3, 0.5, 1.0),
        IMAGES,
    ),
    "upsample nearest": Pair(
        lambda x: ops.upsample(x, 2), lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), IMAGES
    ),
    "upsample bilinear": Pair(
        lambda x: ops.upsample(x, (3, 2), mode="bilinear"),
        lambda x: F.interpolate(x, scale_factor=(3, 2), mode="bilinear"),
        IMAGES,
    ),
    "upsample bilinear_corners": Pair(
        lambda x: ops.upsample(x, size=(11, 16), mode="bilinear_corners"),
        lambda x: F.interpolate(x, (11, 16), mode="bilinear", align_corners=True),
        IMAGES,
    ),
}


def compare(ours: Callable[..., Tensor], theirs: Callable[..., Any], arrays: list[Array], g_seed: str) -> None:
    """Both functions on `arrays` in float64, and their gradients against a random gradient of the result."""
    inputs = symbolic(arrays)
    wrt = range(len(arrays))
    graph = backward_graph(inputs, ours(*inputs), wrt).verify()
    g = np.asarray(generator("g", g_seed).standard_normal(sizes(graph.outputs["y"].type)))
    found = Reference(graph, 1, np.float64).run(**feed(arrays), g=g)
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    y = theirs(*leaves)
    expected = torch.autograd.grad(y, leaves, torch.tensor(g), allow_unused=True)
    assert relative_error(found["y"], y.detach().numpy()) < 1e-12
    for index, gradient in enumerate(expected):
        if gradient is None:  # PyTorch has no gradient by running statistics
            continue
        # Where the exact gradient is zero, what is left on both sides is rounding.
        scale = max(float(gradient.abs().max()), 1e-3)
        assert np.max(np.abs(found[f"d{index}"] - gradient.numpy())) < 1e-11 * scale, f"gradient by input {index}"


@pytest.mark.parametrize("name", PAIRS)
def test_functions_match_pytorch(name: str) -> None:
    pair, rng = PAIRS[name], generator("composed", name)
    for shapes in pair.shapes:
        arrays = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
        arrays = [np.abs(a) + 0.3 if i >= pair.positive else a for i, a in enumerate(arrays)]
        compare(pair.ours, pair.theirs, arrays, name)


def small(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))


@pytest.mark.parametrize("case", range(30))
def test_conv2d_matches_pytorch(case: int) -> None:
    rng = generator("conv2d", str(case))
    groups = int(rng.integers(1, 4))
    n, c, k = (int(rng.integers(1, 5)) for _ in range(3))
    kernel, stride, padding, dilation = small(rng, 1, 4), small(rng, 1, 3), small(rng, 0, 3), small(rng, 1, 2)
    size = [
        max(1, (m - 1) * d + 1 - 2 * p) + int(rng.integers(0, 7))
        for m, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    shapes = [(n, c * groups, *size), (k * groups, c, *kernel), (k * groups,)]
    move: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    compare(
        lambda x, w, b: ops.conv2d(x, w, b, **move),
        lambda x, w, b: F.conv2d(x, w, b, **move),
        [np.asarray(rng.standard_normal(shape)) for shape in shapes],
        str(case),
    )


@pytest.mark.parametrize("case", range(30))
def test_conv_transpose2d_matches_pytorch(case: int) -> None:
    rng = generator("conv_transpose2d", str(case))
    groups = int(rng.integers(1, 4))
    n, c, k = (int(rng.integers(1, 5)) for _ in range(3))
    kernel, stride, dilation, size = small(rng, 1, 4), small(rng, 1, 3), small(rng, 1, 2), small(rng, 1, 6)
    most = [((s - 1) * t + (m - 1) * d) // 2 for s, t, m, d in zip(size, stride, kernel, dilation, strict=True)]
    padding = tuple(int(rng.integers(0, min(3, high) + 1)) for high in most)
    extra = tuple(int(rng.integers(0, step)) for step in stride)
    shapes = [(n, c * groups, *size), (c * groups, k, *kernel), (k * groups,)]
    move: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "output_padding": extra,
        "dilation": dilation,
        "groups": groups,
    }
    compare(
        lambda x, w, b: ops.conv_transpose2d(x, w, b, **move),
        lambda x, w, b: F.conv_transpose2d(x, w, b, **move),
        [np.asarray(rng.standard_normal(shape)) for shape in shapes],
        str(case),
    )


@pytest.mark.parametrize("case", range(60))
def test_pooling_matches_pytorch(case: int) -> None:
    """With PyTorch's own `padding` and `ceil_mode`, which the torch engine does not use."""
    rng = generator("pool", str(case))
    window, stride = small(rng, 1, 5), small(rng, 1, 4)
    padding = int(rng.integers(0, window[0] // 2 + 1)), int(rng.integers(0, window[1] // 2 + 1))
    ceil_mode, count_include_pad = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    size = [max(1, k - 2 * p) + int(rng.integers(0, 9)) for k, p in zip(window, padding, strict=True)]
    x = np.asarray(rng.standard_normal((*small(rng, 1, 3), *size)))
    compare(
        lambda x: ops.max_pool2d(x, window, stride, padding, ceil_mode),
        lambda x: F.max_pool2d(x, window, stride, padding, ceil_mode=ceil_mode),
        [x],
        str(case),
    )
    compare(
        lambda x: ops.avg_pool2d(x, window, stride, padding, ceil_mode, count_include_pad),
        lambda x: F.avg_pool2d(x, window, stride, padding, ceil_mode, count_include_pad),
        [x],
        str(case),
    )


def test_batch_norm_normalizes_by_the_statistics_of_the_batch() -> None:
    x = generator("statistics").standard_normal((3, 5, 4, 2))
    images, gamma, beta = inputs = symbolic([x, np.ones(5), np.zeros(5)])
    _, mean, var = ops.batch_norm_training(images, gamma, beta)
    found = Reference(Graph(inputs, {"mean": mean, "var": var}), 1, np.float64).run(x0=x, x1=np.ones(5), x2=np.zeros(5))
    assert relative_error(found["mean"], x.mean((0, 2, 3))) < 1e-14
    assert relative_error(found["var"], x.var((0, 2, 3))) < 1e-14


@pytest.mark.parametrize("case", range(40))
def test_output_padding_up_to_the_dilation_matches_pytorch(case: int) -> None:
    rng = generator("output padding", str(case))
    kernel, stride, dilation, size = small(rng, 1, 4), small(rng, 1, 2), small(rng, 2, 4), small(rng, 2, 6)
    most = [((s - 1) * t + (m - 1) * d) // 2 for s, t, m, d in zip(size, stride, kernel, dilation, strict=True)]
    padding = tuple(int(rng.integers(0, min(3, high) + 1)) for high in most)
    extra = tuple(int(rng.integers(0, max(step, gap))) for step, gap in zip(stride, dilation, strict=True))
    move: dict[str, Any] = {"stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation}
    compare(
        lambda x, w, b: ops.conv_transpose2d(x, w, b, **move),
        lambda x, w, b: F.conv_transpose2d(x, w, b, **move),
        [np.asarray(rng.standard_normal(shape)) for shape in ((2, 3, *size), (3, 2, *kernel), (2,))],
        str(case),
    )


@pytest.mark.parametrize("case", range(40))
def test_dilated_pooling_matches_pytorch(case: int) -> None:
    """Also which of equal numbers the gradient goes to: every other case is full of them."""
    rng = generator("holes", str(case))
    window, stride, dilation = small(rng, 1, 4), small(rng, 1, 3), small(rng, 1, 3)
    padding = int(rng.integers(0, window[0] // 2 + 1)), int(rng.integers(0, window[1] // 2 + 1))
    ceil_mode = bool(rng.random() < 0.5)
    size = [  # no hole is larger than the image: PyTorch's gradient of a window without numbers is a crash
        max(d, (k - 1) * d + 1 - 2 * p) + int(rng.integers(0, 9))
        for k, d, p in zip(window, dilation, padding, strict=True)
    ]
    x = np.asarray(rng.standard_normal((*small(rng, 1, 3), *size)))
    compare(
        lambda x: ops.max_pool2d(x, window, stride, padding, ceil_mode, dilation),
        lambda x: F.max_pool2d(x, window, stride, padding, dilation, ceil_mode),
        [np.round(x) if case % 2 else x],
        str(case),
    )
    compare(
        lambda x: ops.divide(ops.sum_pool2d(x, window, stride, padding, ceil_mode), 3.0),
        lambda x: F.avg_pool2d(x, window, stride, padding, ceil_mode, divisor_override=3),
        [np.pad(x, ((0, 0), (0, 0), (0, 4), (0, 4)))],
        str(case),
    )
