"""Loads and stores: whole, partial and with strides; nothing beyond is touched."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest

from opsin.kernels.ir import F32, I32, U8, Builder, Kernel, Target
from tests.kernels.ir.support import ALL_TARGETS, agree
from tests.kernels.support import HOST_TARGETS, call_native, guarded, margins_hold

DTYPES = {F32: np.float32, I32: np.int32}
each_target = pytest.mark.parametrize("target", ALL_TARGETS, ids=lambda row: row.name)
each_element = pytest.mark.parametrize("element", [F32, I32])


def copies(element: str, lanes: int) -> Kernel:
    """The first 0, 1, … lanes of x to rows of y, what was not read included, and to rows of z without it."""
    k = Builder("copies")
    x, y, z = (k.buffer(name, element) for name in "xyz")
    for count in range(lanes + 1):
        value = k.load(x, 1, lanes, count)
        k.store(y, count * lanes, value)
        k.store(z, count * lanes, k.load(x, 0, lanes), count)
    return k.kernel()


@each_target
@each_element
def test_parts_of_vectors(element: str, target: Target) -> None:
    lanes = target.lanes
    x = np.arange(1, lanes + 2).astype(DTYPES[element])
    y, z = np.full((2, lanes + 1, lanes), 77, DTYPES[element])
    _, y, z = agree(copies(element, lanes), [x, y, z], target)
    for count in range(lanes + 1):
        assert y[count].tolist() == [*x[1 : count + 1], *[0] * (lanes - count)]
        assert z[count].tolist() == [*x[:count], *[77] * (lanes - count)]


@each_target
@each_element
def test_nothing_around_is_written(element: str, target: Target) -> None:
    for count in (0, 1, target.lanes - 1, target.lanes):
        k = Builder("edge")
        x, y = k.buffer("x", element), k.buffer("y", element)
        k.store(y, 0, k.load(x, 0, target.lanes), count)
        actual = guarded((max(count, 1),), DTYPES[element])
        call_native(k.kernel(), target, [np.ones(target.lanes, DTYPES[element]), actual], 0, 1)
        assert margins_hold(actual)
        assert (actual == (1 if count else 77)).all()


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
def test_nothing_beyond_is_read(target: Target) -> None:
    """At the end of a page whose follower must not be touched: reading it would end the process."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    whole = np.frombuffer(memory, np.float32)
    start = whole.ctypes.data
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 0) == 0
    try:
        lanes, last = target.lanes, page // 4
        k = Builder("page")
        x, y = k.buffer("x"), k.buffer("y")
        for count in range(1, lanes + 1):
            k.store(y, (count - 1) * lanes, k.load(x, last - count, lanes, count))
            k.store(x, last - count, k.load(y, (count - 1) * lanes, lanes), count)
        whole[:last] = np.arange(last)
        y_actual = guarded((lanes, lanes))
        call_native(k.kernel(), target, [whole, y_actual], 0, 1)
        for count in range(1, lanes + 1):
            assert y_actual[count - 1].tolist() == [*range(last - count, last), *[0] * (lanes - count)]
    finally:
        ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 3)


@each_target
@each_element
@pytest.mark.parametrize("known", [True, False], ids=["constant", "argument"])
def test_strides(element: str, known: bool, target: Target) -> None:
    """Forwards, backwards and on the spot; a stride of one as plain loads and stores."""
    lanes = target.lanes
    strides = [1, 2, 5, 0, -1, -3]
    k = Builder("strides")
    x, y, z = (k.buffer(name, element) for name in "xyz")
    arguments = [k.index(f"s{i}") for i in range(len(strides))]
    for i, stride in enumerate(strides):
        step = stride if known else arguments[i]
        k.store(y, i * lanes, k.load(x, 60, lanes, lanes - 1, step))
        k.store(z, 200 * i + 60, k.load(x, 0, lanes), lanes - 1, step)
    rng = np.random.default_rng(0)
    data = rng.permutation(200).astype(DTYPES[element])
    results = [np.zeros((len(strides), lanes), data.dtype), np.full((len(strides), 200), 77, data.dtype)]
    _, read, written = agree(k.kernel(), [data, *results, *strides], target)
    for i, stride in enumerate(strides):
        indices = 60 + np.arange(lanes - 1) * stride
        assert read[i].tolist() == [*data[indices], 0]
        expected = np.full(200, 77, data.dtype)
        expected[indices] = data[: lanes - 1]  # of equal indices, the last one wins
        np.testing.assert_array_equal(written[i], expected)


@each_target
def test_offsets_and_scratch(target: Target) -> None:
    k = Builder("offsets")
    x, y, n = k.buffer("x"), k.buffer("y", I32), k.index("n")
    inner = k.offset(k.offset(x, n), 3)
    k.store(k.scratch, 5, k.load(inner, -1))
    k.store(k.offset(k.scratch, n), 0, k.load(inner, n * 2))
    k.store(k.offset(y, n), 1, k.convert("int", k.load(k.scratch, 5) * 100.0 + k.load(k.scratch, n)))
    x_input, y_input = np.arange(30, dtype=np.float32), np.zeros(10, np.int32)
    _, actual = agree(k.kernel(), [x_input, y_input, 7], target, scratch=8)
    assert actual.tolist() == [0] * 8 + [924, 0]


@each_target
def test_blocks_are_what_begin_and_end_say(target: Target) -> None:
    k = Builder("blocks")
    y = k.buffer("y", I32)
    with k.loop(k.begin, k.end) as i:
        k.store(y, i, k.convert("i32", i * 10))
    (actual,) = agree(k.kernel(), [np.full(6, 77, np.int32)], target, begin=2, end=5)
    assert actual.tolist() == [77, 77, 20, 30, 40, 77]


@each_target
@pytest.mark.parametrize("is_vector", [False, True], ids=["scalar", "vector"])
def test_bytes_from_anywhere(is_vector: bool, target: Target) -> None:
    """Every value from 0 to 255 is loaded unchanged, from indices in any order that count from an offset."""
    lanes = target.lanes if is_vector else 1
    k = Builder("bytes")
    x, indices, y = k.buffer("x", U8), k.buffer("indices", I32), k.buffer("y", I32)
    with k.loop(0, 256, lanes) as i:
        k.store(y, i, k.load_bytes(k.offset(x, 3), k.load(indices, i, lanes)))
    data = np.random.default_rng(0).permutation(259).astype(np.uint8)
    order = np.random.default_rng(1).permutation(256).astype(np.int32)
    actual = agree(k.kernel(), [data, order, np.zeros(256, np.int32)], target)[-1]
    np.testing.assert_array_equal(actual, data[3:][order])


def test_bytes_are_loaded_from_bytes() -> None:
    k = Builder("wrong")
    with pytest.raises(TypeError, match="wrong: bytes are loaded from u8 or i8 at i32 indices"):
        k.load_bytes(k.buffer("x"), k.broadcast(0, 4, I32))
    with pytest.raises(TypeError, match="wrong: bytes are loaded from u8 or i8 at i32 indices"):
        k.load_bytes(k.buffer("b", U8), k.broadcast(0.0, 4))
