"""Views of pixels behave like the arrays they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.data.pixels import ConcatenatedView, ImageView, chunks, concatenate, take
from tests.data.files import noise


class Kept(ImageView):
    """A view of an array that counts what is read of it."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        super().__init__(len(array), (array.shape[1], array.shape[2], array.shape[3]))
        self.array, self.reads = array, 0

    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        self.reads += len(numbers)
        return self.array[numbers]

    def take(self, numbers: NDArray[np.intp]) -> ImageView:
        return Kept(self.array[numbers])


def test_a_view_is_indexed_like_an_array() -> None:
    array = noise(0, 10, 3, 4, 5)
    view = Kept(array)
    assert (view.shape, len(view), view.dtype, view.ndim) == (array.shape, 10, array.dtype, 4)
    for selection in (
        3,
        -1,
        np.int64(2),
        slice(2, 7),
        slice(None, None, -3),
        np.array([4, 4, 0]),
        np.arange(10) % 2 == 1,
    ):
        assert np.array_equal(view[selection], array[selection]), selection
    assert np.array_equal(np.asarray(view), array)


def test_views_are_concatenated_without_being_read() -> None:
    arrays = [noise(seed, 4 + seed, 1, 3, 3) for seed in range(3)]
    whole = np.concatenate(arrays)
    views = [Kept(array) for array in arrays]
    together = concatenate([views[0], arrays[1], views[2]])
    assert isinstance(together, ConcatenatedView)
    some = take(together, np.array([14, 0, 6, 5]))
    assert not any(view.reads for view in views)
    assert np.array_equal(together[:], whole)
    assert np.array_equal(some[:], whole[[14, 0, 6, 5]])
    assert np.array_equal(some[np.array([2, 2])], whole[[6, 6]])
    assert isinstance(concatenate(list(arrays)), np.ndarray)


def test_chunks_are_bounded() -> None:
    array = noise(0, 40, 1, 1024, 1024)
    sizes = [len(chunk) for chunk in chunks(Kept(array))]
    assert sizes == [16, 16, 8]
    assert [len(chunk) for chunk in chunks(array)] == [40]
