"""The layers between recordings and networks: which spectra a network of a given input shape takes."""

from __future__ import annotations

from opsin.inputs.kind import Shape
from opsin.inputs.sound.features import MFCC, LogMel
from opsin.nn import Layer

WINDOW_SECONDS, HOP_SECONDS = 0.032, 0.010
"""An even number of samples, a power of two at the usual rates; neighbouring windows overlap by two thirds."""

MEAN, DEVIATION = -7.0, 4.0
"""Of the logarithms of speech at usual levels; networks begin with batch normalization or adapt."""

COEFFICIENT_DEVIATION = 10.0
MAX_COEFFICIENTS = 20
"""Networks that take fewer rows than this read cepstral coefficients, and others bands of frequency."""


def front_end(rate: int, input_shape: Shape) -> Layer | None:
    """Return log-mel bands or MFCC for recordings of this rate, as many as the network has rows; None for one row.

    The number of frames follows from the length of the recordings.
    """
    _, rows, _ = input_shape
    if rows == 1:
        return None
    window, hop = 2 * round(WINDOW_SECONDS / 2 * rate), round(HOP_SECONDS * rate)
    if rows <= MAX_COEFFICIENTS:
        return MFCC(rate, window, hop, mean=0.0, deviation=COEFFICIENT_DEVIATION, coefficients=rows)
    return LogMel(rate, window, hop, rows, mean=MEAN, deviation=DEVIATION)
