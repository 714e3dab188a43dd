"""200 broken files of each kind among good ones: all are named or read, none is changed, and memory is bounded."""

from __future__ import annotations

import hashlib
import resource
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from opsin.data import load
from opsin.inputs.sound.render import wav_bytes
from tests.inputs.films import film, square, write_films
from tests.inputs.recordings import write_recordings
from tests.inputs.sentences import sentences
from tests.inputs.waves import write_signals

COUNT = 200
MAX_GROWTH = 2**30


def damaged(content: bytes, number: int, rng: np.random.Generator) -> bytes:
    """Return a file that was cut, overwritten, emptied or repeated; number 0, 1, … of its kind."""
    kind, size = number % 6, len(content)
    if kind == 0:
        return content[: int(rng.integers(0, min(size, 43)))]
    if kind == 1:
        return rng.bytes(int(rng.integers(1, 400)))
    if kind == 2:
        flipped = bytearray(content)
        for place in rng.integers(0, min(size, 60), 8):
            flipped[place] ^= 1 << int(rng.integers(8))
        return bytes(flipped)
    if kind == 3:
        return b"\0" * int(rng.integers(1, 400))
    if kind == 4:
        return b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    return struct.pack("<4sI4s", b"RIFF", 2**32 - 1, b"WAVE") + content[12:40] + b"\xff\xff\xff\xff" + content[44:60]


def good_content(kind: str) -> tuple[bytes, str]:
    if kind == "video":
        return film(square(True, 10, np.random.default_rng(0))), ".mp4"
    if kind == "sound":
        return wav_bytes(np.round(9000 * np.sin(np.arange(1600) / 3)), 4000), ".wav"
    if kind == "signal":
        file = BytesIO()
        np.save(file, np.zeros((2, 64), np.float32))
        return file.getvalue(), ".npy"
    return "a good film, and a long one".encode("utf-16"), ".txt"


def write_good(kind: str, folder: Path) -> None:
    if kind == "sound":
        write_recordings(folder, 110)
    elif kind == "video":
        write_films(folder, 110)
    elif kind == "signal":
        write_signals(folder, 110)
    else:
        for number, (text, label) in enumerate(sentences(220)):
            (folder / label).mkdir(parents=True, exist_ok=True)
            (folder / label / f"{number}.txt").write_text(text)


@pytest.mark.parametrize("kind", ["sound", "signal", "text", "video"])
def test_broken_files_are_named_or_read(kind: str, tmp_path: Path) -> None:
    folder, rng = tmp_path / "data", np.random.default_rng(5)
    write_good(kind, folder)
    (content, ending), first = good_content(kind), sorted(folder.iterdir())[0]
    broken = {}
    for number in range(COUNT):
        path = first / f"broken{number:03}{ending}"
        path.write_bytes(damaged(content, number, rng))
        broken[path] = hashlib.sha256(path.read_bytes()).digest()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = load(folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert 1024 * grown < MAX_GROWTH
    assert all(hashlib.sha256(path.read_bytes()).digest() == digest for path, digest in broken.items())
    named = {problem.name.rpartition("/")[2] for problem in data.receipt.problems}
    read = {name.rpartition("/")[2] for split in data.splits.values() for name in split.names or ()}
    assert all(path.name in named | read for path in broken)
    assert len(named & {path.name for path in broken}) >= COUNT // 3
    assert not named & read
    for split in data.splits.values():
        assert np.isfinite(np.asarray(split.pixels[:], np.float64)).all()
