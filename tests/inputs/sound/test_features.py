"""Spectral features against their definition by FFT, and against librosa where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError, UsageError
from opsin.inputs.sound.features import FLOOR, MFCC, LogMel
from opsin.inputs.sound.mel import HTK, SLANEY, cosine, mel_filters
from opsin.ir import Tensor
from tests.support import relative_error

RATE, WINDOW, HOP, BANDS = 8000, 200, 80, 20
SOUND = (0.3 * np.random.default_rng(0).standard_normal((2, 1, 1, 1000))).astype(np.float32)


def mel(scale: str) -> np.ndarray:
    """N × bands × frames, by FFT."""
    padded = np.pad(SOUND[:, 0, 0].astype(float), ((0, 0), (WINDOW // 2, WINDOW // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, ::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1])) ** 2
    return np.einsum("bk,ntk->nbt", mel_filters(RATE, WINDOW, BANDS, 20.0, RATE / 2, scale), power)


@pytest.mark.parametrize("scale", [SLANEY, HTK])
def test_log_mel(scale: str) -> None:
    graph = nn.trace(LogMel(RATE, WINDOW, HOP, BANDS, scale=scale, mean=-2.0, deviation=3.0), (1, 1, 1000))
    expected = ((np.log(mel(scale) + FLOOR) + 2) / 3)[:, None]
    for program in (Reference(graph, 2), compile_native(graph, 2, 1)):
        program.load_state(nn.initial_state(graph, 0))
        assert relative_error(program.run(inputs=SOUND)["logits"], expected) < 1e-4


def test_mfcc() -> None:
    graph = nn.trace(MFCC(RATE, WINDOW, HOP, BANDS, coefficients=13), (1, 1, 1000))
    program = Reference(graph, 2)
    program.load_state(nn.initial_state(graph, 0))
    expected = np.einsum("cb,nbt->nct", cosine(13, BANDS), np.log(mel(SLANEY) + FLOOR))[:, None]
    assert relative_error(program.run(inputs=SOUND)["logits"], expected) < 1e-4
    np.testing.assert_allclose(cosine(BANDS, BANDS) @ cosine(BANDS, BANDS).T, np.eye(BANDS), atol=1e-12)


def test_like_librosa() -> None:
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    for scale, norm in ((SLANEY, "slaney"), (HTK, None)):
        expected = librosa.feature.melspectrogram(
            y=SOUND[0, 0, 0],
            sr=RATE,
            n_fft=WINDOW,
            hop_length=HOP,
            n_mels=BANDS,
            fmin=20.0,
            htk=scale == HTK,
            norm=norm,
        )
        assert relative_error(mel(scale)[0], expected) < 1e-4


def test_constants_are_not_trained() -> None:
    class Net(nn.Layer):
        def __init__(self) -> None:
            self.features, self.pool, self.fc = LogMel(RATE, WINDOW, HOP, BANDS), nn.Flatten(), nn.Linear(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.pool(self.features(x)))

    graph = nn.trace(Net(), (1, 1, 1000))
    trained = {name for name, tensor in graph.variables.items() if tensor.node.attrs["trainable"]}
    assert trained == {"fc.weight", "fc.bias"} and {"features.even", "features.mel_odd"} < set(graph.variables)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hop": 0}, "LogMel: rate, hop, bands and deviation are positive"),
        ({"window": 201}, "LogMel: the window is an even number of samples, not 201"),
        ({"high": 5000.0}, "LogMel: bands lie between 0 and 4000 Hz, not 20 to 5000"),
        ({"scale": "bark"}, "LogMel: the scale is slaney or htk, not 'bark'"),
    ],
)
def test_bad_settings(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LogMel(**{"rate": RATE, "window": WINDOW, "hop": HOP, **arguments})
    with pytest.raises(UsageError, match="MFCC: 40 bands have 1 to 40 coefficients, not 41"):
        MFCC(RATE, WINDOW, HOP, coefficients=41)
    with pytest.raises(ShapeError, match=r"LogMel: expected sound N × 1 × 1 × L"):
        nn.trace(LogMel(RATE, WINDOW, HOP), (3, 8, 8))
