"""Loops of pointwise kernels: neighbours that lie evenly are one, and the kernel is told the rest."""

from __future__ import annotations

from opsin.compiler.lower.loop_nest import loop_nest, merged_loops
from opsin.compiler.views import channels_last, dense_strides

SHAPE = (2, 3, 4, 5)
IMAGES = dense_strides(SHAPE, channels_last(4))
CHANNELS = (0, 1, 0, 0)


def test_gapless_arrays_of_one_order_are_one_loop() -> None:
    assert merged_loops(SHAPE, [IMAGES, IMAGES], 1) == [(120, (1, 1))]


def test_a_number_for_each_channel_parts_the_innermost_loop() -> None:
    assert merged_loops(SHAPE, [CHANNELS, IMAGES], 1) == [(40, (0, 3)), (3, (1, 1))]
    found = loop_nest(SHAPE, ("f32", "f32"), (CHANNELS, IMAGES), 1)
    assert found.extents == (40, 3)
    assert [stream.inner for stream in found.streams] == [1, 1]
    assert found.words == (40, 0, 3)


def test_an_uneven_step_is_an_argument_behind_the_strides_of_its_array() -> None:
    strided = (160, 1, 40, 6)
    found = loop_nest(SHAPE, ("i32", "f32"), (strided, dense_strides(SHAPE, (0, 1, 2, 3))), 1)
    assert [(stream.element, stream.inner) for stream in found.streams] == [("i32", None), ("f32", 1)]
    assert found.extents == (2, 3, 4, 5)
    assert found.words == (2, 3, 4, 160, 1, 40, 6, 60, 20, 5)


def test_a_single_element_has_no_loop() -> None:
    found = loop_nest((1, 1), ("f32", "f32"), ((0, 0), (1, 1)), 1)
    assert found.extents == found.words == ()
    assert [stream.inner for stream in found.streams] == [0, 0]
