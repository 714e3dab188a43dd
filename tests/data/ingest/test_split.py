"""Held-out images: a share of each class, always the same ones, alike images on one side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.data.ingest.split import assign_splits, content_ranks, held_out, index_ranks
from tests.data.files import noise


def select(
    labels: list[int], groups: list[int] | None = None, share: float = 0.2, most: int | None = None
) -> list[int]:
    count = len(labels)
    return held_out(
        np.array(labels, np.int32), np.arange(count) if groups is None else np.array(groups), index_ranks(count, 0),
        np.arange(count), share, most,
    ).tolist()  # fmt: skip


def test_a_share_of_each_class() -> None:
    labels = [0] * 100 + [1] * 10 + [2] * 3 + [3] * 2 + [4]
    assert np.bincount(np.array(labels)[select(labels)], minlength=5).tolist() == [20, 2, 1, 1, 0]


def test_at_most_so_many() -> None:
    labels = [0] * 790 + [1] * 210
    assert np.bincount(np.array(labels)[select(labels, share=0.1, most=50)]).tolist() == [39, 10]


def test_the_same_content_gives_the_same_side() -> None:
    digests = noise(0, 200, 16)
    labels = np.zeros(200, np.int32)

    def out(numbers: np.ndarray, seed: int = 0) -> set[bytes]:
        own = digests[numbers]
        held = held_out(labels[numbers], np.arange(len(own)), content_ranks(own, seed), np.arange(len(own)), 0.2)
        return {own[n].tobytes() for n in held}

    everything = np.arange(200)
    assert out(everything) == out(everything[::-1])
    assert out(everything) != out(everything, seed=1)
    assert len(out(everything) & out(everything[:-4])) >= 36, "four images less, and nearly all stay on their side"


def test_a_class_of_one_group_is_not_split() -> None:
    assert select([0] * 6 + [1] * 6, [0] * 6 + list(range(6, 12))) != []
    assert all(n >= 6 for n in select([0] * 6 + [1] * 6, [0] * 6 + list(range(6, 12))))


def test_a_class_of_large_groups_gives_the_smallest() -> None:
    assert select([0] * 10, [0] * 6 + [6] * 4) == [6, 7, 8, 9]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=60), st.floats(0.05, 0.5))
@settings(max_examples=100, deadline=None)
def test_groups_stay_together_and_every_class_keeps_a_image(rows: list[tuple[int, int]], share: float) -> None:
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    first = [groups.index(group) for group in groups]
    held = set(select(labels, first, share))
    for group in set(first):
        members = {n for n, g in enumerate(first) if g == group}
        assert members <= held or not members & held
    assert len(held) < len(rows)


@pytest.mark.parametrize(
    ("given_parts", "counts", "sentence"),
    [
        ([""] * 100, (72, 8, 20), "made by Opsin: test is a fifth of each class, validation"),
        (["train"] * 80 + ["test"] * 20, (72, 8, 20), "given by the data; validation is"),
        (["train"] * 80 + ["validation"] * 20, (64, 20, 16), "validation is given by the data"),
        (["train"] * 60 + ["validation"] * 20 + ["test"] * 20, (60, 20, 20), "given by the data"),
        ([""] * 80 + ["test"] * 20, (72, 8, 20), "given by the data; validation is"),
    ],
)
def test_missing_splits_are_held_out(given_parts: list[str], counts: tuple[int, int, int], sentence: str) -> None:
    labels = np.zeros(100, np.int32)
    parts, text = assign_splits(given_parts, labels, np.arange(100), index_ranks(100, 0))
    assert tuple(int((parts == part).sum()) for part in ("train", "validation", "test")) == counts
    assert text.startswith(sentence)
    assert all(mine == own for mine, own in zip(parts, given_parts, strict=True) if own in ("validation", "test"))
