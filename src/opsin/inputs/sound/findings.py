"""What is odd about a recording that can be used: clipped, silent, short, cut short, or off centre."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLIPPED, SILENT, SHORT, CUT_SHORT, DC_OFFSET = "clipped", "silent", "very short", "cut short", "DC offset"
"""The kinds of findings. They are stable: programs may count by them."""

FULL_SCALE = 1 - 2.0**-15
"""The largest sample of 16 bits; samples of this size are cut off peaks."""

CLIPPED_SHARE = 0.001
SILENT_LEVEL = 0.001
"""Recordings whose samples are all smaller, -60 dB of full scale, are silent."""
SHORT_SECONDS = 0.1
OFFSET_LEVEL = 0.05
"""A mean of the samples beyond this size is an offset, which a recorder adds."""


class Finding(NamedTuple):
    """One thing that is odd: its kind, and a phrase that says how much of it there is."""

    kind: str
    text: str


def findings(mono: NDArray[np.float32], clipped: int, rate: int, declared: int) -> tuple[Finding, ...]:
    """Return what is odd about samples at `rate` Hz, of which `clipped` are at the limits.

    `declared` is the number of samples that the file should have.
    """
    found, seconds, whole = [], len(mono) / rate, declared / rate
    if len(mono) < declared:
        found.append(Finding(CUT_SHORT, f"cut short: {seconds:.2f} s of {whole:.2f} s"))
    if seconds < SHORT_SECONDS:
        found.append(Finding(SHORT, f"very short: {1000 * seconds:.0f} ms"))
    mean = float(mono.mean())
    if float(np.abs(mono - np.float32(mean)).max()) < SILENT_LEVEL:
        found.append(Finding(SILENT, "silent: no sample is louder than -60 dB of full scale"))
    if clipped > CLIPPED_SHARE * len(mono):
        found.append(Finding(CLIPPED, f"clipped: {100 * clipped / len(mono):.1f} % of the samples are at the limits"))
    if abs(mean) > OFFSET_LEVEL:
        found.append(Finding(DC_OFFSET, f"DC offset: the mean of the samples is {100 * mean:.0f} % of full scale"))
    return tuple(found)
