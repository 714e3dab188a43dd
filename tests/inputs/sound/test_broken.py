"""Two hundred damaged recordings: each is refused by name or read as far as it goes, in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.inputs.sound.sound import Sound
from tests.inputs.sound.support import tone, wav

SOUND = Sound(8000, 4000)
CONTENT = tone().tobytes()
FLOATS = np.random.default_rng(1).standard_normal(4000).astype("<f4")


def damaged() -> Iterator[tuple[str, bytes]]:
    """Yield names and contents: cut, with flipped bits, wrong headers, huge sizes, NaN, and other files."""
    rng, whole = np.random.default_rng(0), wav(CONTENT)
    for cut in range(50):
        yield f"cut{cut}.wav", whole[: cut if cut < 44 else 44 + 97 * (cut - 44)]
    for number in range(90):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, 60 if number % 2 else len(content), 1 + number % 5)
        content[places] ^= 1 << rng.integers(0, 8, len(places)).astype(np.uint8)
        yield f"flip{number}.wav", content.tobytes()
    for number, size in enumerate((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)):
        yield f"size{number}.wav", wav(CONTENT, size=size)
        yield f"sizes{number}.wav", wav(CONTENT, size=size, riff=size)
    for channels in (0, 255, 65535):
        for rate in (0, 1, 2**32 - 1):
            yield (
                f"header{channels}-{rate}.wav",
                wav(b"", channels=1).replace(
                    wav(b"")[20:28], b"\1\0" + channels.to_bytes(2, "little") + rate.to_bytes(4, "little")
                ),
            )
    for number, bits in enumerate((0, 1, 7, 12, 33, 64, 128, 255)):
        yield f"bits{number}.wav", wav(CONTENT, bits=bits, tag=3 if number % 2 else 1)
    for number, value in enumerate((np.nan, np.inf, -np.inf)):
        samples = FLOATS.copy()
        samples[number * 1000 : number * 1000 + 3] = value
        yield f"number{number}.wav", wav(samples.tobytes(), bits=32, tag=3)
    for number in range(28):
        yield (
            f"other{number}.wav",
            (b"", b"hello " * number, b"\x89PNG\r\n\x1a\n" + bytes(number), rng.bytes(99))[number % 4],
        )


FILES = list(damaged())


def test_there_are_two_hundred() -> None:
    assert len(dict(FILES)) == len(FILES) == 200


@pytest.mark.parametrize(("name", "content"), FILES, ids=[name for name, _ in FILES])
def test_a_damaged_recording(name: str, content: bytes) -> None:
    tracemalloc.start()
    try:
        sample, _ = SOUND.read_with_remark(content, name)
    except DataError as error:
        assert str(error).startswith(f"{name}: ")
    else:
        assert sample.shape == SOUND.shape and name.startswith(("cut", "flip", "size", "bits", "header"))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**26
