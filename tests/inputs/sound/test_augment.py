"""Random changes of recordings, and recordings in reports."""

from __future__ import annotations

import numpy as np

from opsin.inputs.sound.augment import RandomSound
from opsin.inputs.sound.decode import decode
from opsin.inputs.sound.render import render_sound, wav_bytes, waveform_svg
from tests.inputs.sound.support import tone

SAMPLES = np.stack([tone(0.125).reshape(1, 1, -1)] * 6)


def test_changes_depend_on_seed_epoch_and_place_alone() -> None:
    augmentation = RandomSound(speed=True)
    whole = augmentation(SAMPLES, 1, 2, 0)
    assert whole.shape == SAMPLES.shape and whole.dtype == np.int16
    np.testing.assert_array_equal(augmentation(SAMPLES[2:], 1, 2, 2), whole[2:])
    assert len({row.tobytes() for row in whole}) == 6
    for other in (augmentation(SAMPLES, 2, 2, 0), augmentation(SAMPLES, 1, 3, 0)):
        assert (other != whole).mean() > 0.9


def test_each_change_is_bounded() -> None:
    shifted = RandomSound(shift=0.1, gain=0, noise=120)(SAMPLES, 0, 0, 0)[:, 0, 0]
    for row in shifted:
        best = max(range(-100, 101), key=lambda steps: float(np.roll(row, -steps).astype(float) @ SAMPLES[0, 0, 0]))
        assert abs(best) <= 100
    louder = RandomSound(shift=0, gain=6, noise=120)(SAMPLES, 0, 0, 0)
    ratios = louder.std(axis=(1, 2, 3)) / SAMPLES.std()
    assert 10**-0.3 < ratios.min() < 0.95 and 1.05 < ratios.max() < 10**0.3
    noise = (RandomSound(shift=0, gain=0, noise=20)(SAMPLES, 0, 0, 0) - SAMPLES.astype(int)).std(axis=(1, 2, 3))
    assert 0 < noise.min() < 100 < noise.max() < 1700


def test_silence_stays_silent() -> None:
    assert not RandomSound(speed=True)(np.zeros((2, 1, 1, 100), np.int16), 0, 0, 0).any()


def test_rendering() -> None:
    image = render_sound(SAMPLES[0], 8000)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    brightest = image.astype(int).sum((1, 2)).argmax()
    assert brightest > 0.6 * len(image), "440 Hz is in the lower part"
    assert not render_sound(np.zeros((1, 1, 5), np.int16), 8000).astype(int).sum(2).max() > 100
    assert waveform_svg(SAMPLES[0]).count("M") == 192
    np.testing.assert_array_equal(decode(wav_bytes(SAMPLES[0], 8000), "a.wav", 8000).samples, SAMPLES[0])
