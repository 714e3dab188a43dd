"""Layers that compute spectral features of sounds inside the graph, so that every export of a model contains them.

Davis & Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980. The Fourier
transform of each frame is a convolution with constants. They are variables that are not trained, and do not decay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin import ops
from opsin.base.errors import ShapeError, UsageError
from opsin.inputs.sound.mel import SCALES, SLANEY, Values, cosine, fourier, mel_filters
from opsin.ir import Tensor
from opsin.nn.layer import Configured

FLOOR = 1e-6
"""Added to the energy of each band before its logarithm, as in torchaudio."""


@dataclass(eq=False)
class LogMel(Configured):
    """Logarithms of the energies in bands of frequency: N × 1 × 1 × L → N × 1 × bands × (1 + L // hop).

    `rate` in Hz; `window` and `hop` in samples. Frames are centred on multiples of `hop`, with zeros beyond the ends of
    the sound. The bands cover `low` to `high` Hz, by default half of the rate. The result is normalized by `mean` and
    `deviation`.
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
        if min(self.rate, self.hop, self.bands) < 1 or self.window < 2 or self.deviation <= 0:
            raise UsageError(f"{name}: rate, hop, bands and deviation are positive, and the window at least 2 samples")
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
        bins, half = self.window // 2 + 1, self.window // 2
        transform = self._constant("fourier", fourier(self.window)[:, None])
        parts = ops.square(ops.conv2d(x, transform, stride=(1, self.hop), padding=((0, 0), (half, half))))
        power = ops.add(ops.narrow(parts, 1, 0, bins), ops.narrow(parts, 1, bins, bins))
        filters = mel_filters(self.rate, self.window, self.bands, self.low, self._high, self.scale)
        return ops.log(ops.add(ops.conv2d(power, self._constant("mel", filters)), FLOOR))

    def _constant(self, name: str, matrix: Values) -> Tensor:
        """Return a matrix as the weight of a convolution of height 1."""
        weight = matrix.astype(np.float32).reshape(len(matrix), -1, 1, matrix.shape[-1] if matrix.ndim == 3 else 1)
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
