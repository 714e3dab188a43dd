"""`opsin predict --follow` of sound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread, Timer
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.apps.cli import follow_sound
from opsin.apps.cli.microphone import is_microphone, recording
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.sound_backlog import SoundBacklog
from opsin.apps.cli.sound_options import SoundOptions
from opsin.apps.cli.sound_statistics import SoundStatistics
from opsin.base.errors import DataError, UsageError
from opsin.inputs.sound.features import LogMel
from opsin.inputs.sound.render import wav_bytes
from opsin.inputs.sound.sound import Sound
from opsin.ir import Tensor
from opsin.model import Model
from tests.apps.cli.test_process import COMMAND, ENVIRONMENT

RATE, LENGTH = 4000, 2000


class Pitch(nn.Layer):
    """Tells sounds below 600 Hz from those above, and from no sound: low, high, _silence_."""

    def __init__(self) -> None:
        self.bands = LogMel(RATE, 256, 40, 2, low=100.0, high=1500.0)

    def forward(self, x: Tensor) -> Tensor:
        energy = ops.flatten(ops.global_max_pool2d(ops.transpose(self.bands(x), (0, 2, 1, 3))))
        return ops.concat([ops.add(energy, 5.0), ops.multiply(ops.narrow(energy, 1, 0, 1), 0.0)], 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "pitch.opsin"
    sound = Sound(RATE, LENGTH)
    graph = nn.trace(Pitch(), sound.input_shape)
    Model("pitch", graph, nn.initial_state(graph, 0), sound, ("low", "high", "_silence_")).save(path)  # type: ignore[arg-type]
    return path


def spoken(words: str, rate: int = RATE) -> bytes:
    """Raw samples of half a second of silence, and then a fifth of a second of each tone and a second of silence."""
    parts = [np.zeros(rate // 2)]
    for word in words.split():
        wave = np.sin(2 * np.pi * {"low": 300, "high": 1100}[word] * np.arange(rate // 5) / rate)
        parts += [0.5 * wave, np.zeros(rate)]
    noise = np.random.default_rng(0).normal(0, 1e-4, sum(map(len, parts)))
    return np.rint(32767 * (np.concatenate(parts) + noise)).astype("<i2").tobytes()


def predict(model: Path, content: bytes, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, "predict", str(model), "-", "--follow", *map(str, arguments)]
    return subprocess.run(command, input=content, capture_output=True, env=ENVIRONMENT)


@pytest.mark.parametrize("rate", [RATE, 11025])
def test_words_of_a_stream(model: Path, rate: int) -> None:
    result = predict(model, spoken("low high high low", rate), "--rate", rate, "--json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    words = [(line["word"], line["time"]) for line in lines if line["word"]]
    assert [word for word, _ in words] == ["low", "high", "high", "low"]
    for number, (_, time) in enumerate(words):
        assert 0.5 + 1.2 * number < time < 1.2 + 1.2 * number
    times = [line["time"] for line in lines]
    assert times[0] == 0.5 and np.allclose(np.diff(times), 0.1, atol=1e-3) and times[-1] == 5.3
    assert all(line["latency"] >= 0 and line["behind"] <= 2.1 for line in lines)
    assert b"5.3 s of sound, 49 windows, 4 words, at most" in result.stderr and b" ms (worst)" in result.stderr


def test_words_are_printed_while_the_sound_comes(model: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "predict", str(model), "-", "--follow"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdin and process.stdout
    watchdog = Timer(60, process.kill)
    watchdog.start()
    content = spoken("high")
    for first in range(0, len(content), 333):  # an odd number of bytes
        process.stdin.write(content[first : first + 333])
        process.stdin.flush()
    assert process.stdout.readline().split()[2] == b"high"
    assert process.poll() is None
    out, _ = process.communicate()
    watchdog.cancel()
    assert b"1.7 s of sound" in out and process.returncode == 0


def test_threshold_and_hold(model: Path) -> None:
    assert b" 0 words" in predict(model, spoken("low high"), "--threshold", 1).stdout
    assert b" 1 word," in predict(model, spoken("low low low"), "--hold", 5).stdout
    assert predict(model, b"").stdout == b"no sound\n"
    assert b"0.1 s of sound, 1 window," in predict(model, spoken("low")[:800]).stdout


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        ((), wav_bytes(np.zeros(4000, np.int16), RATE), b"standard input is a file of sound, not raw samples"),
        (("--rate", 10), b"", b"--rate 10: give the samples per second, 1,000 to 768,000"),
        (("other",), b"", b"--follow of sound takes - for raw 16-bit samples on standard input, or microphone"),
        (("--top", 2), b"", b"--follow of sound prints words; leave out --out and --top"),
    ],
)
def test_bad_input(model: Path, arguments: tuple[object, ...], content: bytes, message: bytes) -> None:
    result = predict(model, content, *arguments)
    assert result.returncode != 0 and message in result.stderr and b"Traceback" not in result.stderr


def test_options_are_for_sound_that_is_followed(model: Path, cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.ones(LENGTH, np.int16), RATE))
    result = cli("predict", model, tmp_path / "a.wav", "--hold", 1)
    assert result.code == 2 and "--hold is for sound that --follow takes from standard input" in result.err


class FakeDevice:
    """sounddevice, with a microphone that hears `content` at once."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self, content: bytes) -> None:
        self.content = content

    def RawInputStream(self, samplerate: int, blocksize: int, device: Any, channels: int, dtype: str, callback: Any):  # type: ignore[no-untyped-def]
        if device == "broken":
            raise self.PortAudioError("no such device")
        assert (channels, dtype) == (1, "int16")

        class Stream(SimpleNamespace):
            def __enter__(self) -> None:
                for first in range(0, len(fake.content), 2 * blocksize):
                    block = fake.content[first : first + 2 * blocksize]
                    callback(block, len(block) // 2, None, None)

            def __exit__(self, *_: object) -> None:
                pass

        fake = self
        return Stream()


def test_a_microphone(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakeDevice(spoken("low high")))
    opened = open_model(str(model))
    assert follow_sound.run(opened, ["microphone"], False, 0.3, SoundOptions()) == 0
    # Windows are skipped while more than half a second waits: the second word is heard.
    out = capsys.readouterr().out
    assert "skipped" in out and "high" not in out.splitlines()[-1]
    with pytest.raises(DataError, match="microphone:broken cannot be recorded at 8,000 Hz: no such device"):
        recording("microphone:broken", 8000, 800, lambda block: None)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UsageError, match="a microphone needs sounddevice: pip install 'opsin\\[microphone\\]'"):
        recording("microphone", 8000, 800, lambda block: None)
    assert is_microphone("microphone:2") and not is_microphone("microphone.wav")


def test_a_full_backlog_makes_the_writer_wait() -> None:
    stop = Event()
    backlog = SoundBacklog(stop, limit=100)
    writer = Thread(target=lambda: [backlog.put(bytes(100)) for _ in range(6)] + [backlog.close(DataError("end"))])
    writer.start()
    sleep(0.3)
    assert backlog.waiting == 100 and writer.is_alive()
    assert sum(len(block.samples) for _ in range(6) if (block := backlog.take())) == 300
    writer.join()
    with pytest.raises(DataError, match="end"):
        backlog.take()
    begin = monotonic()
    assert SoundBacklog(stop).take(0.2) is None and monotonic() - begin >= 0.2
    stop.set()
    assert backlog.take() is None


def test_statistics() -> None:
    statistics = SoundStatistics()
    assert statistics.summary(0) == ["no sound"]
    for number in range(101):
        statistics.add(number / 1000, 0.1, number == 0)
    statistics.skipped = 3
    first, second = statistics.summary(70.0)
    assert first == "70.0 s of sound, 101 windows, 3 skipped, 1 word, at most 0.1 s behind"
    assert second.startswith("latency 50.0 ms (median), 95.0 ms (95th percentile), 100.0 ms (worst); ")
