"""The interpreter is strict: it raises errors for mistakes that machine code would hide."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import I32, Builder, Kernel, Pointer, ScalarType, interpret


def move(index: int, element: str = "f32", lanes: int = 1) -> Kernel:
    k = Builder("move")
    x, y = k.buffer("x"), k.buffer("y", element)
    value = k.load(x, index, lanes)
    k.store(y, index, value if element == "f32" else k.convert("int", value))
    return k.kernel()


@pytest.mark.parametrize(("index", "lanes"), [(-1, 1), (4, 1), (1, 4), (1000, 1), (-(10**9), 1)])
def test_reading_outside_of_an_array_is_an_error(index: int, lanes: int) -> None:
    with pytest.raises(IndexError, match="of an array of"):
        interpret(move(index, lanes=lanes), [np.zeros(4, np.float32), np.zeros(2000, np.float32)], 0, 1)


def test_writing_outside_of_an_array_is_an_error() -> None:
    with pytest.raises(IndexError, match="element 2 of an array of 2"):
        interpret(move(2), [np.zeros(4, np.float32), np.zeros(2, np.float32)], 0, 1)


def test_an_array_of_another_kind_is_an_error() -> None:
    with pytest.raises(TypeError, match="an array of float32 read as"):
        interpret(move(0, I32), [np.zeros(4, np.float32), np.zeros(4, np.float32)], 0, 1)


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(TypeError, match="move takes 2 arguments, not 1"):
        interpret(move(0), [np.zeros(4, np.float32)], 0, 1)


def test_scratch_is_as_large_as_given() -> None:
    k = Builder("scratch")
    k.store(k.scratch, 3, k.broadcast(1.0, 1))
    interpret(k.kernel(), [], 0, 1, scratch=4)
    with pytest.raises(IndexError, match="element 3 of an array of 3"):
        interpret(k.kernel(), [], 0, 1, scratch=3)


def test_scratch_holds_numbers_of_any_type() -> None:
    k = Builder("scratch")
    whole = Pointer(k.scratch_base, I32)
    y = k.buffer("y", I32)
    k.store(k.scratch, 0, k.broadcast(1.0, 1))
    k.store(whole, 1, k.constant(7, ScalarType(I32)))
    k.store(y, 0, k.load(whole, 1))
    k.store(y, 1, k.load(whole, 0))
    actual = np.zeros(2, np.int32)
    interpret(k.kernel(), [actual], 0, 1, scratch=2)
    assert actual.tolist() == [7, 0x3F800000]


def test_arrays_of_any_shape_are_their_memory() -> None:
    y = np.zeros((2, 3), np.float32)
    interpret(move(4), [np.arange(6, dtype=np.float32), y], 0, 1)
    assert y.tolist() == [[0, 0, 0], [0, 4, 0]]
