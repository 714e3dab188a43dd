"""Durations, sizes, percentages and enumerations as text."""

from __future__ import annotations

import pytest

from opsin.base.formatting import duration, exact_size, listed, megabytes, percent, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than a second"), (45, "45 s"), (180, "3 min"), (250, "4.2 min"), (610, "10 min"), (9000, "2.5 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(10, "1 MB"), (350e6, "350 MB"), (999.9e6, "1.0 GB"), (2.04e9, "2.0 GB")])
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (812, "812 B"), (3_100, "3.1 kB"), (14_200_000, "14.2 MB"), (1.2e9, "1.2 GB")]
)
def test_exact_sizes(count: float, text: str) -> None:
    assert exact_size(count) == text


def test_megabytes() -> None:
    assert [megabytes(count) for count in (3_141_592, 9_990_000, 12e6, 1750e6)] == [
        "3.14 MB", "9.99 MB", "12 MB", "1,750 MB"
    ]  # fmt: skip
    assert (megabytes(3_141_592, "up"), megabytes(3_141_592, "down")) == ("3.15 MB", "3.14 MB")
    assert (megabytes(1_000_000, "down"), megabytes(1_234_567_890, "up")) == ("1 MB", "1,235 MB")
    assert (megabytes(12_000_001, "up"), megabytes(12_999_999, "down")) == ("13 MB", "12 MB")


def test_a_requirement_never_reads_the_same_as_a_smaller_limit() -> None:
    for count in (0, 7, 12_345, 954_828, 999_999, 10**6, 9_999_999, 10**7, 123_456_789, 10**10):
        required, limit = (
            float(megabytes(count, rounding).removesuffix(" MB").replace(",", "")) for rounding in ("up", "down")
        )
        assert limit <= count / 1e6 <= required and required - limit <= (0.01 if count < 10**7 else 1) + 1e-9
    assert (megabytes(954_828, "up"), megabytes(954_828, "down")) == ("0.96 MB", "0.95 MB")


@pytest.mark.parametrize(
    ("fraction", "text", "prose"),
    [
        (0, "0.0%", "0%"), (1, "100.0%", "100%"), (0.00001, "<0.1%", "less than 0.1%"), (0.876, "87.6%", "88%"),
        (0.99999, ">99.9%", "more than 99.9%"), (0.9861, "98.6%", "98.6%"), (0.012, "1.2%", "1.2%"),
    ],
)  # fmt: skip
def test_percentages(fraction: float, text: str, prose: str) -> None:
    assert (percent(fraction), percent(fraction, prose=True)) == (text, prose)


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [
        (0.98612, 2, "98.61%"), (0.99996, 2, ">99.99%"), (0.9995, 1, ">99.9%"), (1, 2, "100.00%"), (0, 2, "0.00%"),
        (0.00001, 2, "<0.01%"), (0.001, 0, "<1%"), (0.999, 0, ">99%"),
    ],
)  # fmt: skip
def test_digits_of_percentages(fraction: float, digits: int, text: str) -> None:
    assert percent(fraction, digits=digits) == text


def test_enumerations() -> None:
    assert [listed(names) for names in ((), "a", "ab", "abc")] == ["", "a", "a, b", "a, b, c"]
    assert [listed(names, conjunction="and") for names in ((), "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert listed("abc", 2) == "a, b, … (3 in total)"
    assert listed("abc", 2, count=False) == "a, b, …"
    assert listed("ab", 2, conjunction="or") == "a or b"
