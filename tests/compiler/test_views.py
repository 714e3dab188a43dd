"""Views against NumPy's own strides."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.compiler.views import Buffer, View, dense_strides

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def dense(shape: tuple[int, ...], order: tuple[int, ...]) -> View:
    return View(Buffer(prod(shape), "f32", "temporary"), shape, dense_strides(shape, order))


def read(view: View) -> np.ndarray:
    """The element numbers that a view shows."""
    places = np.full(view.shape, view.offset)
    for axis, stride in enumerate(view.strides):
        places += np.arange(view.shape[axis]).reshape(-1, *[1] * (len(view.shape) - axis - 1)) * stride
    return places


@st.composite
def ordered(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(SHAPES)
    return shape, tuple(draw(st.permutations(range(len(shape)))))


@given(ordered())
def test_dense_views_hold_every_element_once(case: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    view = dense(*case)
    assert sorted(read(view).ravel()) == list(range(view.size))
    assert view.is_dense(case[1])


@given(ordered(), st.data())
def test_reshaping_shows_the_same_elements_or_refuses(
    case: tuple[tuple[int, ...], tuple[int, ...]], data: st.DataObject
) -> None:
    view = dense(*case)
    shape = tuple(data.draw(st.permutations(case[0])))
    if data.draw(st.booleans()):
        shape = (prod(shape),)
    made = view.reshaped(shape)
    wanted = read(view).reshape(shape)
    if made is None:
        assert case[1] != tuple(range(len(case[0])))
    else:
        np.testing.assert_array_equal(read(made), wanted)


def test_row_major_always_reshapes() -> None:
    view = dense((2, 3, 4), (0, 1, 2))
    for shape in [(24,), (6, 4), (2, 12), (2, 3, 2, 2), (1, 24, 1), (4, 6)]:
        made = view.reshaped(shape)
        assert made is not None
        np.testing.assert_array_equal(read(made), np.arange(24).reshape(shape))


def test_channels_last_does_not_flatten_in_logical_order() -> None:
    assert dense((2, 3, 4, 5), (0, 2, 3, 1)).reshaped((2, 60)) is None
    assert dense((2, 1, 4, 5), (0, 2, 3, 1)).reshaped((2, 20)) is not None


@given(ordered(), st.data())
def test_slicing_transposing_flipping(case: tuple[tuple[int, ...], tuple[int, ...]], data: st.DataObject) -> None:
    view = dense(*case)
    axes = tuple(data.draw(st.permutations(range(len(case[0])))))
    starts = tuple(data.draw(st.integers(0, n - 1)) for n in case[0])
    steps = tuple(data.draw(st.integers(1, 3)) for _ in case[0])
    part = view.sliced(starts, case[0], steps)
    index = tuple(slice(a, n, s) for a, n, s in zip(starts, case[0], steps, strict=True))
    np.testing.assert_array_equal(read(part), read(view)[index])
    np.testing.assert_array_equal(read(part.transposed(axes)), read(view)[index].transpose(axes))
    np.testing.assert_array_equal(read(view.flipped((0,))), read(view)[::-1])


def test_broadcasting() -> None:
    view = dense((3, 1), (0, 1))
    np.testing.assert_array_equal(read(view.broadcast((2, 3, 4))), np.broadcast_to(np.arange(3)[:, None], (2, 3, 4)))
    with pytest.raises(ValueError):
        view.broadcast((2,))
