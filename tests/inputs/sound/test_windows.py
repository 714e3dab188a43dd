"""Windows of a stream of sound, and the words that are recognised in them."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.inputs.sound.decode import decode
from opsin.inputs.sound.keywords import Keyword, Keywords, is_silent, is_word
from opsin.inputs.sound.render import wav_bytes
from opsin.inputs.sound.sound import Sound
from opsin.inputs.sound.windows import Window, Windows

SOUND = Sound(4000, 1000)
NOISE = np.random.default_rng(0).integers(-9000, 9000, 4321).astype(np.int16)


def cut(samples: np.ndarray, rate: int, blocks: list[int]) -> tuple[Windows, list[Window]]:
    windows, found = Windows(SOUND, rate, 0.1), []
    for block in np.split(samples, np.cumsum(blocks)):
        found += list(windows.push(block))
    return windows, found + list(windows.last())


@pytest.mark.parametrize("blocks", [[], [1] * 100, [399, 2, 2000], [1000, 400, 400], [0, 999, 1]])
def test_windows_do_not_depend_on_the_blocks(blocks: list[int]) -> None:
    windows, found = cut(NOISE, 4000, blocks)
    assert [round(each.end, 5) for each in found] == [0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.05, 1.08025]
    for each in found:
        end = round(4000 * each.end)
        np.testing.assert_array_equal(windows.sample(each)[0, 0], NOISE[end - 1000 : end])
    assert windows.seconds == len(NOISE) / 4000 and not list(windows.last())


@pytest.mark.parametrize("rate", [4000, 8000, 11025])
def test_a_window_is_what_a_file_of_it_is(rate: int) -> None:
    windows, found = cut(NOISE, rate, [500])
    span = -(-1000 * rate // 4000)
    for each in (found[0], found[-1]):
        end = round(rate * each.end)
        content = wav_bytes(NOISE[max(0, end - span) : end], rate)
        np.testing.assert_array_equal(windows.sample(each), decode(content, "a.wav", 4000, 1000).samples)


def test_a_stream_that_is_shorter_than_a_window_is_followed_by_silence() -> None:
    windows, (only,) = cut(NOISE[:10], 4000, [])
    assert windows.sample(only)[0, 0, :11].tolist() == [*NOISE[:10], 0]
    assert cut(NOISE[:0], 4000, [])[1] == []


def test_keywords() -> None:
    keywords = Keywords(["yes", "no", "_unknown_"], threshold=0.6, hold=0.25)

    def add(time: float, *probabilities: float) -> Keyword | None:
        return keywords.add(np.array(probabilities), time)

    assert add(0.1, 1, 0, 0) is None  # a third
    assert add(0.2, 1, 0, 0) == Keyword("yes", pytest.approx(2 / 3), 0.2)
    assert add(0.3, 1, 0, 0) is None and add(0.4, 1, 0, 0) is None  # the same word
    assert add(0.5, 0, 1, 0) is None  # its average is still above the threshold
    assert add(0.6, 0, 1, 0) == Keyword("no", pytest.approx(2 / 3), 0.6)
    assert add(0.7, 0, 0, 1) is None and add(0.8, 0, 0, 1) is None and add(0.9, 0, 0, 1) is None
    assert add(1.0, 1, 0, 0) is None
    assert add(1.1, 1, 0, 0) == Keyword("yes", pytest.approx(2 / 3), 1.1)


def test_labels_and_windows_without_words() -> None:
    assert is_word("nothing") and not is_word("_silence_") and not is_word("Unknown")
    assert is_silent(np.full(9, 4000, np.int16)) and not is_silent(np.array([0, 100], np.int16))
