"""Layers that compute spectral features of sounds inside the graph, so that every export of a model contains them.

Davis & Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980. The first step
of a fast Fourier transform, decimation in frequency (Gentleman & Sande 1966), halves each frame; the rest are matrix
products with constants. These are variables that are not trained, and do not decay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin import ops
from opsin.base.errors import ShapeError, UsageError
from opsin.inputs.sound.mel import SCALES, SLANEY, Values, cosine, fourier_halves, hann, mel_filters
from opsin.ir import Tensor
from opsin.nn.layer import Configured

FLOOR = 1e-6
"""Added to the energy of each band before its logarithm, as in torchaudio."""


@dataclass(eq=False)
class LogMel(Configured):
    """Logarithms of the energies in bands of frequency: N × 1 × 1 × L → N × 1 × bands × (1 + L // hop).

    `rate` in Hz; `window`, an even number, and `hop` in samples. Frames are centred on multiples of `hop`, with zeros
    beyond the ends of the sound. The bands cover `low` to `high` Hz, by default half of the rate. The result is
    normalized by `mean` and `deviation`.
    """

    rate: int
    window: int
    hop: int
    bands: int = 40
    low: float = 20.0
    high: float | None = None
    scale: str = SLANEY
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if min(self.rate, self.hop, self.bands) < 1 or self.deviation <= 0:
            raise UsageError(f"{name}: rate, hop, bands and deviation are positive")
        if self.window < 2 or self.window % 2:
            raise UsageError(f"{name}: the window is an even number of samples, not {self.window}")
        if not 0 <= self.low < self._high <= self.rate / 2:
            raise UsageError(
                f"{name}: bands lie between 0 and {self.rate / 2:g} Hz, not {self.low:g} to {self._high:g}"
            )
        if self.scale not in SCALES:
            raise UsageError(f"{name}: the scale is {' or '.join(SCALES)}, not '{self.scale}'")

    @property
    def _high(self) -> float:
        return self.rate / 2 if self.high is None else self.high

    def forward(self, x: Tensor) -> Tensor:
        return self._normalized(self._log_mel(x))

    def _log_mel(self, x: Tensor) -> Tensor:
        """Return N × bands × 1 × frames."""
        if x.rank != 4 or x.shape[1:3] != (1, 1):
            raise ShapeError(f"{type(self).__name__}: expected sound N × 1 × 1 × L, got {x.type}")
        filters = mel_filters(self.rate, self.window, self.bands, self.low, self._high, self.scale)
        halves = zip(("even", "odd"), self._folded_frames(x), fourier_halves(self.window), strict=True)
        energies = [
            ops.conv2d(self._power(name, frames, transform), self._constant(f"mel_{name}", filters[:, first::2]))
            for first, (name, frames, transform) in enumerate(halves)
        ]
        return ops.log(ops.add(ops.add(*energies), FLOOR))

    def _folded_frames(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum and the difference of the halves of each frame under the window, N × window / 2 × 1 × frames.

        The even bins of a frame are the Fourier transform of the sum, and the odd bins depend on the difference alone.
        """
        length, half = x.shape[3], self.window // 2
        assert isinstance(length, int)
        frames = 1 + length // self.hop
        rows = frames + -(-self.window // self.hop)
        padding = max(0, rows * self.hop - half - length)
        padded = ops.narrow(ops.pad(x, (0, 0, 0, half), (0, 0, 0, padding)), 3, 0, rows * self.hop)
        columns = ops.transpose(ops.reshape(padded, (x.shape[0], 1, rows, self.hop)), (0, 3, 1, 2))
        rising = ops.reshape(self._constant("window", hann(self.window)[:half, None]), (1, half, 1, 1))
        first = ops.multiply(_stretch(columns, 0, half, frames), rising)
        # The second half of a Hann window is one minus the first.
        second = ops.multiply(_stretch(columns, half, self.window, frames), ops.subtract(1.0, rising))
        return ops.add(first, second), ops.subtract(first, second)

    def _power(self, name: str, frames: Tensor, transform: Values) -> Tensor:
        """Return the squared magnitudes of half of the bins; `transform` has their real parts, and then the others."""
        parts, bins = ops.square(ops.conv2d(frames, self._constant(name, transform))), len(transform) // 2
        return ops.add(ops.narrow(parts, 1, 0, bins), ops.narrow(parts, 1, bins, bins))

    def _constant(self, name: str, matrix: Values) -> Tensor:
        """Return a matrix as the weight of a convolution with kernels of size 1."""
        weight = matrix.astype(np.float32)[:, :, None, None]
        return self.parameter(name, weight.shape, ("values", tuple(weight.reshape(-1).tolist())), trainable=False)

    def _normalized(self, x: Tensor) -> Tensor:
        """Return N × rows × 1 × frames as an image N × 1 × rows × frames."""
        return ops.transpose(ops.multiply(ops.subtract(x, self.mean), 1 / self.deviation), (0, 2, 1, 3))


@dataclass(eq=False)
class MFCC(LogMel):
    """The first `coefficients` of the cosine transform of `LogMel`: N × 1 × 1 × L → N × 1 × coefficients × frames."""

    coefficients: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.coefficients <= self.bands:
            raise UsageError(f"MFCC: {self.bands} bands have 1 to {self.bands} coefficients, not {self.coefficients}")

    def forward(self, x: Tensor) -> Tensor:
        transform = self._constant("cosine", cosine(self.coefficients, self.bands))
        return self._normalized(ops.conv2d(self._log_mel(x), transform))


def _stretch(columns: Tensor, start: int, stop: int, frames: int) -> Tensor:
    """Return the samples `start` to `stop` of each frame, N × (stop - start) × 1 × frames.

    `columns` N × hop × 1 × rows holds the sound, `hop` samples in a column; frame t begins with column t.
    """
    hop, parts = columns.shape[1], []
    assert isinstance(hop, int)
    while start < stop:
        column, first = divmod(start, hop)
        length = min(hop - first, stop - start)
        parts.append(ops.narrow(ops.narrow(columns, 1, first, length), 3, column, frames))
        start += length
    return parts[0] if len(parts) == 1 else ops.concat(parts, 1)
