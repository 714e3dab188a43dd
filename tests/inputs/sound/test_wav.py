"""WAV files of every encoding, and damaged ones."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.inputs.sound.decode import decode, sound_info
from opsin.inputs.sound.findings import CLIPPED, CUT_SHORT, DC_OFFSET, SHORT, SILENT
from opsin.inputs.sound.sample_formats import a_law, mu_law
from opsin.inputs.sound.wav import UNKNOWN_SIZE
from tests.inputs.sound.support import chunk, tone, wav

MONO = tone()
WIDE = MONO.astype(np.int32) << 16
REAL = MONO / 32768
TWENTY_FOUR = WIDE.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
EXTENSION = struct.pack("<HHIH", 22, 24, 0, 1) + b"\0" * 14


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (wav(MONO.tobytes()), 0),
        (wav(MONO.astype(">i2").tobytes(), order=">"), 0),
        (wav(((MONO >> 8) + 128).astype(np.uint8).tobytes(), bits=8), 256),
        (wav(TWENTY_FOUR, bits=24), 0),
        (wav(TWENTY_FOUR, bits=20), 0),
        (wav(TWENTY_FOUR, bits=24, tag=0xFFFE, extra=EXTENSION), 0),
        (wav(WIDE.tobytes(), bits=32), 0),
        (wav(REAL.astype("<f4").tobytes(), bits=32, tag=3), 0),
        (wav(REAL.astype("<f8").tobytes(), bits=64, tag=3), 0),
        (wav(MONO.tobytes(), before=chunk(b"LIST", b"odd")), 0),
        (wav(MONO.tobytes(), size=0xFFFFFFFF, riff=0xFFFFFFFF), 0),
        (wav(MONO.tobytes(), size=UNKNOWN_SIZE + 36), 0),
        (wav(MONO.tobytes(), size=0, riff=0), 0),
        (
            wav(
                MONO.tobytes(),
                size=0xFFFFFFFF,
                riff=0xFFFFFFFF,
                head=b"RF64",
                before=chunk(b"ds64", struct.pack("<QQQ", 0, MONO.nbytes, 0)),
            ),
            0,
        ),
    ],
    ids="16 RIFX 8 24 20 extensible 32 float double odd stream sox pipe RF64".split(),
)
def test_encodings(data: bytes, error: int) -> None:
    sound = decode(data, "a.wav", 8000)
    assert sound.samples.dtype == np.int16 and sound.samples.shape == (1, 1, len(MONO)) and not sound.findings
    assert np.abs(sound.samples[0, 0].astype(int) - MONO[:, 0]).max() <= error


def test_logarithmic_laws() -> None:
    """The values of ITU-T G.711 at both ends and around zero, in 16 bits."""
    np.testing.assert_array_equal(
        mu_law(np.array([0x00, 0x80, 0x7F, 0xFF, 0x8F])) * 32768, [-32124, 32124, 0, 0, 16764]
    )
    np.testing.assert_array_equal(a_law(np.array([0x2A, 0xAA, 0x55, 0xD5, 0x80])) * 32768, [-32256, 32256, -8, 8, 5504])
    codes = bytes(range(256)) * 8
    for tag, law in ((6, a_law), (7, mu_law)):
        samples = decode(wav(codes, bits=8, tag=tag), "a.wav", 8000).samples[0, 0]
        np.testing.assert_array_equal(samples[:256], law(np.arange(256)) * 32768)


def test_channels_are_averaged_and_lengths_kept() -> None:
    stereo = tone(channels=2)
    data = wav(stereo.tobytes(), channels=2)
    expected = np.rint(stereo.astype(float).mean(1))
    assert np.abs(decode(data, "a.wav", 8000).samples[0, 0] - expected).max() <= 1
    padded = decode(data, "a.wav", 8000, 5000)
    assert padded.samples.shape == (1, 1, 5000) and not padded.samples[0, 0, 4000:].any() and padded.seconds == 0.5
    info = sound_info(data, "a.wav")
    assert (info.format, info.rate, info.channels, info.seconds) == ("WAV", 8000, 2, 0.5)


def test_only_the_beginning_is_read(tmp_path: Path) -> None:
    """The samples of a part are those of the whole; the rest of a long file is not read."""
    data = wav(tone(2, 44100).tobytes(), rate=44100)
    whole, part = decode(data, "a.wav", 16000).samples, decode(data, "a.wav", 16000, 8000).samples
    np.testing.assert_array_equal(part, whole[..., :8000])
    path = tmp_path / "hours.wav"
    with path.open("wb") as file:
        file.write(wav(MONO.tobytes(), size=2**31 - 2**20)[: 44 + MONO.nbytes])
        file.truncate(2**31 - 2**20 + 44)  # a sparse file
    assert decode(path, "hours.wav", 8000, 100).samples.shape == (1, 1, 100)
    assert sound_info(path, "hours.wav").seconds > 36 * 3600
    with pytest.raises(DataError, match=r"hours.wav: it is longer than 140 minutes; cut it"):
        decode(path, "hours.wav", 8000)


def test_findings() -> None:
    def kinds(samples: np.ndarray) -> list[str]:
        return [finding.kind for finding in decode(wav(samples.astype(np.int16).tobytes()), "a.wav", 8000).findings]

    assert kinds(np.clip(MONO.astype(int) * 4, -32768, 32767)) == [CLIPPED]
    assert kinds(np.full(4000, 3)) == [SILENT]
    assert kinds(MONO[:400]) == [SHORT]
    assert kinds(MONO + 3000) == [DC_OFFSET]
    (short,) = decode(wav(MONO.tobytes(), size=2 * MONO.nbytes), "a.wav", 8000).findings
    assert short == (CUT_SHORT, "cut short: 0.50 s of 1.00 s")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wav(MONO.tobytes())[:18], "ends before its samples"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"1234"), "ends before the description of its samples"),
        (
            b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"1234" * 3) + chunk(b"data", b"1234"),
            "describes its samples in 12 bytes",
        ),
        (wav(MONO.tobytes())[:38], "ends before its samples"),
        (wav(b""), "holds no samples"),
        (wav(MONO.tobytes(), tag=85), "16 bits per sample in MP3"),
        (wav(MONO.tobytes(), tag=999), "the encoding 0x03e7"),
        (wav(MONO.tobytes(), channels=0), "0 channels at 8,000 Hz; it is damaged"),
        (wav(MONO.tobytes(), rate=0), "at 0 Hz; it is damaged"),
        (wav(np.full(2000, np.nan, "<f4").tobytes(), bits=32, tag=3), "NaN or infinity"),
        (b"", "it is empty, not a recording"),
        (b"<html>no</html>", "it is a web page"),
        (b"\x01\x02\x03\x04" * 10, "no known format"),
    ],
    ids="early format brief data empty codec code channels rate nan nothing page bytes".split(),
)
def test_damaged_files_are_named(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        decode(data, "a.wav", 8000)
    assert str(caught.value).startswith("a.wav: ")


def test_any_bytes_are_samples_or_a_named_error() -> None:
    rng, good = np.random.default_rng(0), wav(MONO[:300].tobytes())
    for _ in range(300):
        data = bytearray(good[: int(rng.integers(len(good)))])
        for place in rng.integers(0, min(48, len(data)) + 1, 3):
            data[place : place + 1] = bytes([int(rng.integers(256))])
        try:
            assert decode(bytes(data), "a.wav", 8000, 100).samples.shape == (1, 1, 100)
        except DataError as error:
            assert str(error).startswith("a.wav: ")


@pytest.mark.parametrize("format", ["FLAC", "OGG", "MP3"])
def test_compressed_formats(format: str) -> None:
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    file = io.BytesIO()
    soundfile.write(file, MONO, 8000, format=format)
    data = file.getvalue()
    samples = decode(data, "a", 8000, 4000).samples[0, 0].astype(int)
    assert np.abs(samples - MONO[:, 0]).max() <= (0 if format == "FLAC" else 2000)
    assert sound_info(data, "a").rate == 8000
    for cut in (5, 60, len(data) // 2):
        try:
            assert CUT_SHORT in [finding.kind for finding in decode(data[:cut], "a", 8000).findings]
        except DataError as error:
            assert str(error).startswith("a: ")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    for data in (b"fLaC" + bytes(50), b"OggS" + bytes(50), b"ID3" + bytes(50), b"\xff\xfb\x90\x00" + bytes(50)):
        with pytest.raises(DataError, match=r"a.x: (FLAC|Ogg|MP3) files need soundfile; install it with: pip"):
            decode(data, "a.x", 8000)
