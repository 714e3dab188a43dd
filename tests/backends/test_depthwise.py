"""Depthwise convolutions on the native engine against the reference engine, and bit-identical results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from opsin import ops as F
from opsin.backends.native import Native, codegen, compile
from opsin.backends.reference import Reference
from opsin.ir import BATCH, Graph, Tensor, input_tensor
from opsin.kernels.ir import Target
from opsin.ops.sliding import Padding, Pair, Sliding
from tests.support import Array, generator, relative_error

TOLERANCE = 2e-5
TARGETS = codegen.host().targets


@dataclass(frozen=True)
class Case:
    """One depthwise convolution of random images."""

    images: int
    channels: int
    size: Pair
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)

    @property
    def move(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.channels}


def random_case(number: int) -> Case:
    rng = generator("depthwise", str(number))

    def pair(low: int, high: int) -> Pair:
        return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))

    kernel, stride, padding = pair(1, 7), pair(1, 3), (pair(0, 3), pair(0, 3))
    dilation = pair(1, 3) if number % 3 == 0 else (1, 1)
    extent = Sliding((1, 1), kernel, stride, padding, dilation).extent
    least = [max(1, n - sum(pads)) for n, pads in zip(extent, padding, strict=True)]
    more = pair(0, 13)
    size = least[0] + more[0], least[1] + more[1]
    return Case(int(rng.integers(1, 7)), 1 + (number * 29) % 70, size, kernel, stride, padding, dilation)


EQUAL: Padding = ((1, 1), (1, 1))
CASES = [random_case(number) for number in range(52)] + [
    Case(2, 100, (9, 8), (7, 7), padding=((3, 3), (3, 3))),  # kernels too large to stay near: channels in parts
    Case(1, 200, (8, 9), (5, 5), (2, 2), ((2, 1), (1, 2))),
    Case(1, 32, (23, 25), (3, 3), (1, 1), EQUAL),
    Case(2, 48, (24, 22), (3, 3), (2, 2), EQUAL),
    Case(1, 9, (3, 4), (1, 2), (5, 7), ((4, 4), (6, 6))),  # strides beyond the kernel
]


def step(case: Case) -> tuple[Graph, dict[str, Array]]:
    """y = relu6(x ∗ w + b) and its gradients, on random numbers."""
    x, b = input_tensor("x", (BATCH, case.channels, *case.size)), input_tensor("b", (case.channels,))
    w = input_tensor("w", (case.channels, 1, *case.kernel))
    y = F.relu6(F.conv2d(x, w, b, **case.move))
    dx, dw = F.gradients(F.sum(F.multiply(y, y)), [x, w])
    assert dx is not None and dw is not None
    return Graph((x, w, b), {"y": y, "dx": dx, "dw": dw}), numbers((x, w, b), case.images)


def numbers(inputs: tuple[Tensor, ...], batch: int) -> dict[str, Array]:
    """Random inputs that float32 holds exactly, so that both engines see the same."""
    rng, bound = generator("inputs"), Graph(inputs, {}).bind(batch)
    return {t.node.attrs["name"]: rng.standard_normal(t.shape).astype(np.float32) for t in bound.inputs}  # type: ignore[arg-type]


def kernels(program: Native) -> set[str]:
    return {type(call.spec).__name__ for call in program.plan.calls}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_agrees_with_the_reference(number: int) -> None:
    case, target = CASES[number], TARGETS[number % len(TARGETS)]
    graph, inputs = step(case)
    program = compile(graph, case.images, 1 + number % 4, target)
    if case.channels > 1:
        assert {"Depthwise", "DepthwiseWeight"} <= kernels(program)
        assert not {"Conv2d", "Conv2dWeight"} & kernels(program)
    wanted = Reference(graph, case.images, np.float64).run(**inputs)
    for key, got in program.run(**inputs).items():
        assert relative_error(got, wanted[key]) < TOLERANCE, (key, target.name, case)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_transposed(target: Target) -> None:
    """Upsampling by a factor of two, with a bias."""
    for channels, extra in ((6, 1), (19, 0)):
        x, w = input_tensor("x", (BATCH, channels, 7, 5)), input_tensor("w", (channels, 1, 4, 3))
        b = input_tensor("b", (channels,))
        y = F.relu6(F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=extra, groups=channels))
        dx, dw = F.gradients(F.sum(F.multiply(y, y)), [x, w])
        assert dx is not None and dw is not None
        graph = Graph((x, w, b), {"y": y, "dx": dx, "dw": dw})
        inputs, program = numbers((x, w, b), 3), compile(graph, 3, 2, target)
        wanted = Reference(graph, 3, np.float64).run(**inputs)
        assert "Conv2d" not in kernels(program)
        for key, got in program.run(**inputs).items():
            assert relative_error(got, wanted[key]) < TOLERANCE, key


@pytest.mark.parametrize(("images", "stride"), [(1, 1), (5, 2), (37, 1), (21, 2)])
def test_the_same_bits_for_any_number_of_threads(images: int, stride: int) -> None:
    case = Case(images, 40, (13, 11), (3, 3), (stride, stride), EQUAL)
    graph, inputs = step(case)
    first, *others = (compile(graph, images, threads).run(**inputs) for threads in (1, 2, 3, 4))
    for other in others:
        for key, value in first.items():
            np.testing.assert_array_equal(other[key].view(np.int32), value.view(np.int32), err_msg=key)


def test_what_is_not_finite_stays_in_its_window() -> None:
    """Borders are left out and not multiplied by zero, and a NaN comes through ReLU6."""
    case = Case(1, 8, (6, 6), (3, 3), padding=EQUAL)
    graph, inputs = step(case)
    inputs["x"][0, 3, 0, 0], inputs["w"][5, 0, 0, 0] = np.nan, np.inf
    y = compile(graph, 1, 2).run(**inputs)["y"]
    assert np.isnan(y[0, 3, :2, :2]).all()
    assert np.isfinite(np.delete(y, 3, axis=1)).all()
    assert np.isnan(y).sum() == 4


def test_several_filters_a_channel_are_left_to_the_general_kernel() -> None:
    x, w = input_tensor("x", (BATCH, 6, 5, 5)), input_tensor("w", (12, 1, 3, 3))
    assert "Conv2d" in kernels(compile(Graph((x, w), {"y": F.conv2d(x, w, groups=6)}), 2, 1))
