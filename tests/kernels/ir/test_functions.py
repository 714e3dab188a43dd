"""The transcendental functions against NumPy in float64, by dense sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from opsin.kernels.ir import Builder, Kernel, Target, functions
from opsin.kernels.spec import KernelSpec
from tests.kernels.ir.support import ALL_TARGETS
from tests.kernels.support import run_interpreted, run_native

Array = np.ndarray
COUNT = 1 << 16
each_target = pytest.mark.parametrize("target", ALL_TARGETS, ids=lambda row: row.name)


@dataclass(frozen=True)
class Apply(KernelSpec):
    """y = function(x), whole vectors. Arguments: x, y, count."""

    function: str

    def build(self, target: Target) -> Kernel:
        k = Builder(self.function)
        x, y, count = k.buffer("x"), k.buffer("y"), k.index("count")
        with k.loop(0, count, target.lanes) as i:
            k.store(y, i, getattr(functions, self.function)(k, k.load(x, i, target.lanes)))
        return k.kernel()


def apply(name: str, x: Array, target: Target, run: Callable[..., None] = run_native) -> Array:
    """The function of float32 numbers."""
    filled = np.resize(x.astype(np.float32), -(-x.size // target.lanes) * target.lanes)
    y = np.zeros_like(filled)
    run(Apply(name), [filled, y, filled.size], 0, 1, target=target)
    return y[: x.size]


def both_signs(x: Array) -> Array:
    return np.concatenate([-x, x])


def powers(low: float, high: float) -> Array:
    """Evenly over the exponents."""
    return np.exp(np.linspace(np.log(low), np.log(high), COUNT))


MEANINGS: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": np.vectorize(math.erf, otypes=[float]),
}
SWEEPS = [
    ("exp", np.linspace(-87.3, 88.72, COUNT), 1.0),
    ("exp", both_signs(powers(1e-8, 80)), 1.0),
    ("log", powers(1.2e-38, 3.4e38), 1.0),
    ("log", np.linspace(0.5, 2, COUNT), 1.0),
    ("tanh", np.linspace(-12, 12, COUNT), 1.5),
    ("tanh", both_signs(powers(1e-30, 1)), 1.5),
    ("sigmoid", np.linspace(-87, 90, COUNT), 2.5),
    ("sigmoid", both_signs(powers(1e-8, 20)), 2.5),
    ("erf", np.linspace(-6, 6, COUNT), 4.5),
    ("erf", both_signs(powers(1e-30, 4)), 4.5),
]
"""Function, numbers, and the largest error in units of the last place."""

INF, NAN = math.inf, math.nan
SPECIAL: dict[str, list[tuple[float, float]]] = {
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN), (89, INF), (3e38, INF), (-88, 0), (-3e38, 0)],
    "log": [
        (0, -INF),
        (-0.0, -INF),
        (INF, INF),
        (-INF, NAN),
        (NAN, NAN),
        (1, 0),
        (-1, NAN),
        (1e-45, -INF),
        (-3e38, NAN),
    ],
    "tanh": [(0, 0), (-0.0, 0), (INF, 1), (-INF, -1), (NAN, NAN), (3e38, 1), (-3e38, -1), (1e-45, 1e-45), (-20, -1)],
    "sigmoid": [(0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (NAN, NAN), (3e38, 1), (-3e38, 0), (100, 1), (-100, 0)],
    "erf": [(0, 0), (-0.0, 0), (INF, 1), (-INF, -1), (NAN, NAN), (3e38, 1), (-3e38, -1), (10, 1), (-10, -1)],
}


@each_target
@pytest.mark.parametrize(("name", "x", "units"), SWEEPS, ids=[f"{name}{i % 2}" for i, (name, *_) in enumerate(SWEEPS)])
def test_error_over_a_sweep(name: str, x: Array, units: float, target: Target) -> None:
    x = x.astype(np.float32)
    expected = MEANINGS[name](x.astype(np.float64))
    unit = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    error = np.abs(apply(name, x, target) - expected) / unit
    worst = int(error.argmax())
    assert error[worst] <= units, f"{error[worst]} units at {x[worst]}"


@each_target
def test_erf_is_within_3e_7(target: Target) -> None:
    """What counts for GELU is the absolute error."""
    x = np.linspace(-6, 6, COUNT).astype(np.float32)
    assert np.abs(apply("erf", x, target) - MEANINGS["erf"](x.astype(np.float64))).max() < 3e-7


@each_target
@pytest.mark.parametrize("run", [run_native, run_interpreted])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name: str, run: Callable[..., None], target: Target) -> None:
    x, expected = np.array(SPECIAL[name], np.float32).T
    np.testing.assert_array_equal(apply(name, x, target, run), expected)


@pytest.mark.parametrize("name", MEANINGS)
def test_meaning_and_machine_code_are_close(name: str) -> None:
    """As close as a rounding of `fma` more or less leaves them."""
    x = both_signs(powers(1e-3, 50)[::1024])
    for target in ALL_TARGETS:
        np.testing.assert_allclose(
            apply(name, x, target), apply(name, x, target, run_interpreted), rtol=4e-7, atol=1e-7, err_msg=target.name
        )


@pytest.mark.parametrize("name", MEANINGS)
def test_the_same_bits_for_any_number_of_lanes(name: str) -> None:
    x = both_signs(powers(1e-3, 50))
    rows = [row for row in ALL_TARGETS if row.fma]
    first, *others = (apply(name, x, row).view(np.int32) for row in rows)
    for other in others:
        np.testing.assert_array_equal(first, other)
