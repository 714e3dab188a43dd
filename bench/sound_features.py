"""Spectral features and resampling of one minute of sound: the time, and the difference from other libraries.

    python bench/sound_features.py [--threads 1] [--rounds 7] [--seconds 1] [--json FILE]

Features are those of 16 kHz sound with windows of 512 samples every 160, compiled as in a model. The sound is pink
noise with a sweep. librosa's features and SciPy's `resample_poly` with the same filter run in float64 for the
comparison, and in float32 for the time. A difference is that of the norms, relative to the other library's result.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

import librosa
import numpy as np
from common import begin, finish, interleaved, parser, print_table
from numpy.typing import NDArray
from scipy import signal

from opsin import nn
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import compile as compile_native
from opsin.inputs.sound.features import FLOOR, MFCC, LogMel
from opsin.inputs.sound.mel import cosine
from opsin.inputs.sound.resample import BETA, ZEROS, resample

RATE, WINDOW, HOP, BANDS, COEFFICIENTS, LOW = 16_000, 512, 160, 40, 10, 20.0
SECONDS = 60
HEADS = ("one minute of sound", "Opsin, ms", "other library, ms", "relative difference")


def sound(rate: int) -> NDArray[np.float32]:
    """Return a minute of pink noise with a sweep from 50 Hz to half of the rate."""
    count = rate * SECONDS
    white = np.fft.rfft(np.random.default_rng(0).standard_normal(count))
    pink = np.fft.irfft(white / np.sqrt(np.maximum(1, np.arange(len(white)))), count)
    sweep = signal.chirp(np.arange(count) / rate, 50, SECONDS, rate / 2)
    return (0.1 * pink / pink.std() + 0.1 * sweep).astype(np.float32)


def librosa_log_mel(samples: NDArray[Any]) -> NDArray[Any]:
    energy = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS, fmin=LOW, pad_mode="constant"
    )
    return np.log(energy + FLOOR)


def librosa_mfcc(samples: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cosine(COEFFICIENTS, BANDS).astype(samples.dtype) @ librosa_log_mel(samples))


def scipy_resample(samples: NDArray[Any], source: int, rate: int) -> NDArray[Any]:
    divisor = gcd(source, rate)
    up, down = rate // divisor, source // divisor
    taps = ZEROS * max(up, down)
    window = np.sinc(np.arange(-taps, taps + 1) / max(up, down)) * np.kaiser(2 * taps + 1, BETA)
    return np.asarray(signal.resample_poly(samples, up, down, window=(window / window.sum()).astype(samples.dtype)))


def features(layer: nn.Layer, samples: NDArray[np.float32], threads: int) -> Callable[[], NDArray[Any]]:
    """Return what computes rows × frames."""
    graph = nn.trace(layer, (1, 1, len(samples)))
    program = compile_native(graph, 1, threads)
    program.load_state(nn.initial_state(graph, 0))
    return lambda: program.run(inputs=samples.reshape(1, 1, 1, -1))["logits"][0, 0]


def cases(threads: int) -> dict[str, tuple[Callable[[], NDArray[Any]], Callable[[str], NDArray[Any]]]]:
    """Return what is measured by name: Opsin's function, and the other one, for a type of numbers."""
    x = sound(RATE)
    result: dict[str, tuple[Callable[[], NDArray[Any]], Callable[[str], NDArray[Any]]]] = {
        f"log-mel spectrogram, {BANDS} bands": (
            features(LogMel(RATE, WINDOW, HOP, BANDS, LOW), x, threads), lambda dtype: librosa_log_mel(x.astype(dtype))
        ),
        f"MFCC, {COEFFICIENTS} coefficients": (
            features(MFCC(RATE, WINDOW, HOP, BANDS, LOW, coefficients=COEFFICIENTS), x, threads),
            lambda dtype: librosa_mfcc(x.astype(dtype)),
        ),
    }  # fmt: skip
    for source, rate in ((48_000, 16_000), (44_100, 16_000), (8_000, 16_000)):
        y = sound(source)
        result[f"resampling, {source:,} to {rate:,} Hz"] = (
            lambda y=y, source=source, rate=rate: resample(y, source, rate),
            lambda dtype, y=y, source=source, rate=rate: scipy_resample(y.astype(dtype), source, rate),
        )
    return result


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--threads", type=int, default=1, help="of Opsin's features")
    command.add_argument("--rounds", type=int, default=7)
    command.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    options = command.parse_args()
    record, rows, results = begin(options), [], []
    for name, (ours, other) in cases(options.threads).items():
        expected = other("float64")
        difference = float(np.linalg.norm(ours() - expected) / np.linalg.norm(expected))
        times = interleaved(
            {"opsin": ours, "other": lambda other=other: other("float32")}, options.rounds, options.seconds
        )
        spreads = {key: Spread.of([1e3 * seconds for seconds in values]) for key, values in times.items()}
        results.append({"name": name, "ms": spreads, "difference": difference})
        rows.append((name, f"{spreads['opsin']:.1f}", f"{spreads['other']:.1f}", f"{difference:.1e}"))
    table = print_table(HEADS, rows)
    finish(options, record | {"results": results} | table)


if __name__ == "__main__":
    main()
