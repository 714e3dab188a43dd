"""Sizes that may depend on the batch."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.base.errors import ShapeError
from opsin.ir import BATCH, Size, bind, product, same_size, show

counts = st.integers(1, 50)
dims = st.one_of(counts, st.builds(lambda factor, power: factor * product((BATCH,) * power), counts, st.integers(1, 3)))


@given(dims, dims, counts)
def test_arithmetic_then_a_batch_is_a_batch_then_arithmetic(a: int | Size, b: int | Size, batch: int) -> None:
    assert bind(a * b, batch) == bind(a, batch) * bind(b, batch)
    assert bind(a * b // b, batch) == bind(a, batch)
    assert same_size(a * b // a, b)
    if same_size(a * 7, b * 7):
        assert bind(a + b, batch) == 2 * bind(a, batch)


@given(counts, counts)
def test_the_inverse_of_a_size_is_a_number_once_bound(factor: int, batch: int) -> None:
    assert bind(Size(Fraction(factor), 1).inverse(), batch) == pytest.approx(1 / (factor * batch), rel=1e-15)


def test_a_size_that_no_longer_depends_on_the_batch_is_a_number() -> None:
    assert 6 * BATCH // BATCH == 6
    assert type(6 * BATCH // BATCH) is int
    assert not same_size(BATCH, 1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BATCH // 2, "N elements cannot be divided into 2"),
        (lambda: 6 // BATCH, "6 elements cannot be divided into N"),
        (lambda: 12 * BATCH // 5, "12·N elements cannot be divided into 5"),
        (lambda: BATCH + 1, "a size cannot be N + 1: only the batch may be free"),
    ],
)
def test_impossible_sizes_are_errors(make: object, text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value) == text


def test_sizes_as_text() -> None:
    assert show((BATCH, 6, 28, 28)) == "N × 6 × 28 × 28"
    assert show((784 * BATCH, BATCH * BATCH)) == "784·N × N^2"
    assert show(()) == "scalar"
    assert str(Size(Fraction(1, 3), -1)) == "1/3·N^-1"


def test_binding_reaches_through_tuples_and_dictionaries() -> None:
    attrs = {"shape": (BATCH, 3), "value": Size(Fraction(2), 1).inverse(), "mode": "area", "deep": ((BATCH,), 1)}
    assert bind(attrs, 4) == {"shape": (4, 3), "value": 0.125, "mode": "area", "deep": ((4,), 1)}
