"""Copies are found however they were saved, likenesses are not, and nothing is compared with everything."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from opsin.data.ingest import duplicates
from opsin.data.ingest.duplicates import (
    MAX_HAMMING_DISTANCE,
    Thumbnails,
    candidates,
    exact_duplicates,
    near_duplicates,
    popcount,
)
from opsin.data.ingest.thumbnail_hash import thumbnail_hash, thumbnail_hashes
from tests.data.files import noise
from tests.data.ingest.in_memory import encoded, photo

LARGE = (64, 64)


def look_of(image: Image.Image) -> NDArray[np.uint8]:
    return thumbnail_hash(np.asarray(image.convert("RGB")).transpose(2, 0, 1))[0]


def groups_of(*images: Image.Image, size: tuple[int, int] = LARGE) -> list[int]:
    count = len(images)
    actual = near_duplicates(
        np.arange(count), np.stack([look_of(i) for i in images]), np.array([size] * count, np.int32)
    )
    assert actual is not None
    return actual.tolist()


def test_copies_are_found_however_they_were_saved() -> None:
    original = photo(1, 120)
    copies = [
        Image.open(BytesIO(encoded(original, "jpeg", quality=10))),
        original.resize((33, 40)),
        original.resize((240, 240)),
        ImageEnhance.Brightness(original).enhance(0.7),
        ImageEnhance.Contrast(original).enhance(1.2),
        original.convert("L"),
    ]
    others = [photo(seed, 120) for seed in range(2, 40)]
    groups = groups_of(original, *copies, *others)
    assert groups[:7] == [0] * 7
    assert groups[7:] == list(range(7, 45))


def test_mirrored_and_recoloured_images_are_others() -> None:
    original = photo(1)
    assert groups_of(original, original.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == [0, 1]
    red, green, blue = original.split()
    assert groups_of(original, Image.merge("RGB", (red, green, blue.point(lambda value: value // 3)))) == [0, 1]


def test_mirror_images_are_found_where_they_count() -> None:
    images = [photo(1), photo(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((40, 50)), *map(photo, range(2, 20))]
    hashes, sizes = np.stack([look_of(image) for image in images]), np.array([LARGE] * len(images), np.int32)
    groups = near_duplicates(np.arange(len(images)), hashes, sizes, mirrors=True)
    assert groups is not None and groups.tolist() == [0, 0, *range(2, 20)]


def test_likeness_says_nothing_of_flat_and_of_small_images() -> None:
    flat = [Image.fromarray(np.full((64, 64), 250, np.uint8) - noise(seed, 64, 64) // 64) for seed in range(2)]
    assert groups_of(*flat) == [0, 1]
    digit = photo(1, 28)
    assert groups_of(digit, digit.convert("L"), size=(28, 28)) == [0, 1]
    assert groups_of(digit, digit.convert("L"), size=(32, 40)) == [0, 0]


def test_exact_copies_stand_for_each_other() -> None:
    digests = np.array([[1, 2], [3, 4], [1, 2], [0, 0], [3, 4]], np.uint8)
    assert exact_duplicates(digests).tolist() == [0, 1, 0, 3, 1]
    same, blank = exact_duplicates(digests), np.zeros((5, thumbnail_hashes(noise(0, 1, 1, 8, 8)).shape[1]), np.uint8)
    actual = near_duplicates(same, blank, np.full((5, 2), 64, np.int32))
    assert actual is not None
    assert actual.tolist() == [0, 1, 0, 3, 1]


def test_likeness_passes_on() -> None:
    steps = [Image.fromarray((np.asarray(photo(1)) * share).astype(np.uint8)) for share in (1, 0.8, 0.6, 0.4)]
    assert groups_of(*steps) == [0, 0, 0, 0]


def test_the_search_finds_every_pair_of_close_hashes() -> None:
    random = np.random.default_rng(0)
    base = random.integers(0, 2**64, 300, dtype=np.uint64)
    close = base.copy()
    for _ in range(MAX_HAMMING_DISTANCE):  # up to BITS bits turned, some of them twice
        close ^= np.uint64(1) << random.integers(0, 64, 300, dtype=np.uint64)
    values = np.concatenate([base, close, base[:20]])
    actual = candidates(values)
    assert actual is not None
    pairs = {pair for first, second in actual for pair in zip(first.tolist(), second.tolist(), strict=True)}
    distance = np.array([[bin(int(a ^ b)).count("1") for b in values] for a in values])
    expected = {(int(a), int(b)) for a, b in zip(*np.nonzero(distance <= MAX_HAMMING_DISTANCE), strict=True) if a < b}
    assert pairs == expected
    assert len(expected) >= 320


def test_the_search_finds_nothing_where_there_is_nothing() -> None:
    for values in (np.empty(0, np.uint64), np.zeros(1, np.uint64), np.array([0, 2**64 - 1], np.uint64)):
        actual = candidates(values)
        assert actual is not None
        assert not [1 for first, _ in actual if len(first)]


def test_bits_are_counted() -> None:
    words = np.array([0, 1, 2**63, 2**64 - 1, 0xF0F0], np.uint64)
    assert popcount(words).tolist() == [0, 1, 1, 64, 8]


def test_what_is_too_uniform_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 100)
    same = np.arange(30)
    assert near_duplicates(same, np.stack([look_of(photo(1))] * 30), np.full((30, 2), 64, np.int32)) is None


@pytest.mark.parametrize("shape", [(1, 32, 36), (3, 48, 90), (3, 8, 9)])
def test_looks_at_once_are_the_looks_of_each(shape: tuple[int, int, int]) -> None:
    pixels = np.stack([np.asarray(photo(n, 200).resize(shape[:0:-1])) for n in range(5)]).transpose(0, 3, 1, 2)[
        :, : shape[0]
    ]
    one_by_one = np.stack([thumbnail_hash(image)[0] for image in pixels])
    assert np.abs(thumbnail_hashes(pixels).astype(int) - one_by_one).max() <= 1


def test_hashes_are_differences_of_neighbours() -> None:
    ramp = np.tile(np.linspace(0, 250, 90), (80, 1)).astype(np.uint8)
    rising = Thumbnails(np.stack([thumbnail_hash(ramp[None])[0], thumbnail_hash(ramp[None, :, ::-1])[0]])).hashes()
    assert rising.tolist() == [2**64 - 1, 0]


def test_colourless_images_are_recognised() -> None:
    grey = np.repeat(noise(0, 1, 300, 300), 3, axis=0)
    assert thumbnail_hash(grey)[1]
    assert thumbnail_hash(grey[:1])[1]
    tinted = grey.copy()
    tinted[2, 1, 1] ^= 1
    assert not thumbnail_hash(tinted)[1]
