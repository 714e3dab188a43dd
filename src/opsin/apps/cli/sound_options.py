"""The options of `opsin predict` that concern sound."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.base.errors import UsageError


@dataclass(frozen=True)
class SoundOptions:
    """None is the default of each. `rate` in Hz, `threshold` a probability, `hold` in seconds."""

    rate: int | None = None
    threshold: float | None = None
    hold: float | None = None

    def require_none(self) -> None:
        """Raise `UsageError` if one is given."""
        for name, value in vars(self).items():
            if value is not None:
                raise UsageError(f"--{name} is for sound that --follow takes from standard input or a microphone")
