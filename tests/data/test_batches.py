"""Batches: order, preprocessing, and how they are prepared ahead."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Generator
from itertools import chain

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.errors import DataError
from opsin.data import Batches, LabeledImages, Preprocessing, augment
from opsin.data import batches as batches_module
from opsin.data.batches import MAX_BATCH, MAX_BATCH_VALUES, batch_size
from opsin.data.pixels import ImageView
from tests.data.files import noise


def numbered(count: int) -> LabeledImages:
    """Images whose pixels all hold the image's number."""
    numbers = np.arange(count)
    pixels = np.broadcast_to(numbers[:, None, None, None], (count, 1, 4, 4)).astype(np.uint8)
    return LabeledImages(pixels, (numbers % 2).astype(np.int32), ("even", "odd"))


PLAIN = Preprocessing(1, 4, 4, (0.0,), (1 / 255,))
"""Keeps pixel values as they are."""


def seen(batches: Batches, epoch: int, start: int = 0) -> list[list[int]]:
    return [np.rint(pixels[:, 0, 0, 0]).astype(int).tolist() for pixels, _ in batches.epoch(epoch, start)]


def test_every_image_comes_once_an_epoch_with_its_label() -> None:
    batches = Batches(numbered(20), PLAIN, 5, seed=3)
    assert len(batches) == 4
    assert sorted(chain(*seen(batches, 1))) == list(range(20))
    for pixels, targets in batches.epoch(1):
        labels = targets["labels"]
        assert pixels.dtype == np.float32
        assert labels.dtype == np.int32
        assert (np.rint(pixels[:, 0, 0, 0]) % 2 == labels).all()


def test_the_last_batch_is_filled_up() -> None:
    batches = Batches(numbered(20), PLAIN, 8, seed=3)
    order = [*chain(*seen(batches, 1))]
    assert len(order) == 24
    assert sorted(order[:20]) == list(range(20))
    assert order[20:] == order[:4]
    assert batches.order(1).tolist() == order


def test_of_two_epochs_one_shows_the_mirror_image() -> None:
    pixels = np.broadcast_to(np.arange(4), (40, 1, 4, 4)) + 10 * np.arange(40)[:, None, None, None] % 200
    images = LabeledImages(pixels.astype(np.uint8), np.zeros(40, np.int32), ("one",))
    batches = Batches(images, PLAIN, 8, seed=1, augmentation=augment.Augmentation(flip=True))
    shown = []
    for epoch in (1, 2, 3):
        seen = np.concatenate([batch for batch, _ in batches.epoch(epoch)])
        mirrored = seen[:, 0, 0, 0] > seen[:, 0, 0, 3]
        shown.append(mirrored[np.argsort(batches.order(epoch))])
    assert (shown[0] != shown[1]).all() and (shown[0] == shown[2]).all()
    assert 10 < shown[0].sum() < 30


def test_order_is_a_function_of_seed_and_epoch() -> None:
    batches = Batches(numbered(20), PLAIN, 5, seed=3)
    assert seen(batches, 2) == seen(batches, 2)
    assert seen(batches, 1) != seen(batches, 2)
    assert seen(batches, 1) != seen(Batches(numbered(20), PLAIN, 5, seed=4), 1)
    assert seen(batches, 2, start=3) == seen(batches, 2)[3:]


def test_random_words_are_the_same_everywhere() -> None:
    assert random_counter.words(2, 1, random_counter.SHUFFLE, 3).tolist() == [6181737525795396537, 2752523124933609999]
    assert (
        random_counter.words(1, 1, random_counter.SHUFFLE, 3, first=4).tolist()
        == random_counter.words(5, 1, random_counter.SHUFFLE, 3)[4:].tolist()
    )
    draws = random_counter.uniform(10_000, 0, random_counter.AUGMENT)
    assert -1 <= draws.min() < -0.99
    assert 0.99 < draws.max() < 1


def test_preprocessing_centres_and_scales() -> None:
    images = LabeledImages(noise(0, 50, 3, 6, 7), np.zeros(50, np.int32), ("a", "b"))
    preprocessing = Preprocessing.of(images)
    values = preprocessing.apply(images.pixels)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(values.std(axis=(0, 2, 3)), 1, atol=1e-3)
    exact = (images.pixels / 255 - np.reshape(preprocessing.mean, (3, 1, 1))) / np.reshape(preprocessing.std, (3, 1, 1))
    np.testing.assert_allclose(values, exact, atol=1e-5)
    assert not preprocessing.dark_background


def test_preprocessing_goes_into_a_file_and_back() -> None:
    preprocessing = Preprocessing(3, 4, 5, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), dark_background=True)
    assert Preprocessing.from_data(preprocessing.to_data()) == preprocessing
    for change in (
        {"mean": [0.1]},
        {"std": [1, 2, 0]},
        {"channels": 0},
        {"height": "tall"},
        {"mean": [0, 0, float("nan")]},
    ):
        with pytest.raises(DataError):
            Preprocessing.from_data({**preprocessing.to_data(), **change})


def test_constant_images_have_a_standard_deviation_all_the_same() -> None:
    values = Preprocessing.of(LabeledImages(np.zeros((3, 1, 2, 2), np.uint8), np.zeros(3, np.int32), ("a",)))
    assert np.isfinite(values.apply(np.zeros((1, 1, 2, 2), np.uint8))).all()


def test_the_layout_in_memory_is_that_of_compiled_programs() -> None:
    images = LabeledImages(noise(0, 8, 3, 6, 5), np.arange(8, dtype=np.int32) % 2, ("cat", "dog"))
    for pixels, _ in Batches(images, Preprocessing.of(images), 4, seed=0).epoch(1):
        assert pixels.shape == (4, 3, 6, 5)
        assert pixels.transpose(0, 2, 3, 1).flags.c_contiguous


def photographs(count: int = 150, side: int = 16) -> LabeledImages:
    return LabeledImages(noise(1, count, 3, side, side), np.arange(count, dtype=np.int32) % 3, ("cat", "dog", "mouse"))


@pytest.mark.parametrize("level", augment.LEVELS)
def test_from_any_start_come_the_same_bits(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a block of batches that are prepared together, at its edge, and at the end."""
    images = photographs()
    preprocessing = Preprocessing.of(images)
    policy = augment.policy_for(level, images, preprocessing)
    batch = 8 * 3 * 16 * 16 * 4
    monkeypatch.setattr(batches_module, "BLOCK_BYTES", 3 * batch)
    whole = list(Batches(images, preprocessing, 8, 5, policy).epoch(2))
    assert len(whole) == 19
    for start in (0, 1, 2, 3, 7, 18, 19):
        rest = list(Batches(images, preprocessing, 8, 5, policy).epoch(2, start))
        assert len(rest) == 19 - start
        for (pixels, targets), (again, same) in zip(whole[start:], rest, strict=True):
            assert pixels.tobytes() == again.tobytes()
            assert targets["labels"].tobytes() == same["labels"].tobytes()


def test_batches_are_the_consumers_to_keep() -> None:
    images = photographs()
    batches = Batches(images, Preprocessing.of(images), 8, seed=5)
    kept = list(batches.epoch(1))
    copies = [pixels.copy() for pixels, _ in batches.epoch(1)]
    for (pixels, _), copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(pixels, copy)
        pixels[:] = 0
    for (pixels, _), copy in zip(batches.epoch(1), copies, strict=True):
        np.testing.assert_array_equal(pixels, copy)


class CountingView(ImageView):
    """Images that count how often they are read, call `on_read` with the count, and fail from number `broken` on."""

    def __init__(
        self, count: int, broken: int | None = None, on_read: Callable[[int], object] = lambda reads: None
    ) -> None:
        super().__init__(count, (1, 4, 4))
        self.broken, self.on_read, self.reads, self.condition = broken, on_read, 0, threading.Condition()

    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        if self.broken is not None and (numbers >= self.broken).any():
            raise DataError("photo.jpg is cut short")
        with self.condition:
            self.reads += 1
            self.condition.notify_all()
        self.on_read(self.reads)
        return np.zeros((len(numbers), 1, 4, 4), np.uint8)

    def wait_for_reads(self, count: int) -> bool:
        with self.condition:
            return self.condition.wait_for(lambda: self.reads >= count, timeout=60)

    def take(self, numbers: NDArray[np.intp]) -> ImageView:
        raise NotImplementedError


def single_batches(
    monkeypatch: pytest.MonkeyPatch, view: CountingView, clock: Callable[[], float] = lambda: 0.0
) -> Batches:
    """Batches of four images, each prepared alone."""
    monkeypatch.setattr(batches_module, "BLOCK_BYTES", 1)
    return Batches(LabeledImages(view, np.zeros(len(view), np.int32), ("a", "b")), PLAIN, 4, 0, clock=clock)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("opsin-batches")]


def test_waiting_time_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 2.0, 10.0, 10.5, 20.0, 20.0, 30.0, 31.0])
    batches = single_batches(monkeypatch, CountingView(12), clock=lambda: next(times))
    assert [batches.waited for _ in batches.epoch(0)] == [2.0, 2.5, 2.5]
    assert batches.waited == 3.5, "the end of the epoch is waited for, too"
    assert next(times, None) is None


def test_blocks_are_prepared_while_the_consumer_works(monkeypatch: pytest.MonkeyPatch) -> None:
    view = CountingView(40)
    for number, _ in enumerate(single_batches(monkeypatch, view).epoch(0), start=1):
        expected = min(10, number + batches_module.PREFETCH_BLOCKS)
        assert view.wait_for_reads(expected)
        assert view.reads == expected


def test_errors_of_the_thread_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = single_batches(monkeypatch, CountingView(40, broken=39))
    with pytest.raises(DataError, match=r"photo\.jpg is cut short"):
        list(batches.epoch(0))
    assert not threads()


def test_closing_stops_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    view = CountingView(4000)
    iterator = single_batches(monkeypatch, view).epoch(0)
    next(iterator)
    assert threads()
    assert isinstance(iterator, Generator)
    iterator.close()
    assert not threads()
    assert view.reads <= 1 + batches_module.PREFETCH_BLOCKS


@pytest.mark.skipif(sys.platform == "win32", reason="signals another thread")
def test_an_interruption_stops_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    main = threading.main_thread().ident
    assert main is not None
    view = CountingView(4000, on_read=lambda reads: signal.pthread_kill(main, signal.SIGINT) if reads == 3 else None)
    batches = single_batches(monkeypatch, view)
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in batches.epoch(0):
                pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert not threads()
    assert view.reads < 1000


def test_an_epoch_may_have_only_some_of_the_images() -> None:
    batches = Batches(numbered(20), PLAIN, 4, seed=3, limit=10)
    assert len(batches) == 3
    assert len(list(batches.epoch(1))) == 3
    orders = [batches.order(number).tolist() for number in range(8)]
    assert all(len(order) == 12 and len(set(order)) == 10 for order in orders)
    assert {place for order in orders for place in order} == set(range(20))  # others in each epoch


def test_large_images_come_in_smaller_batches() -> None:
    assert batch_size((1, 28, 28)) == MAX_BATCH
    assert batch_size((3, 224, 224)) == MAX_BATCH_VALUES // (3 * 224 * 224) == 13
    assert batch_size((3, 224, 224), 8) == 8 and batch_size((3, 224, 224), 32, 2**22) == 27
    assert batch_size((3, 4000, 4000)) == 1
