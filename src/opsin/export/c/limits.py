"""The memory of a microcontroller as text: "64KB RAM, 256KB flash"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opsin.base.errors import UsageError
from opsin.ir.arguments import text as sound_text

UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20}
"""As data sheets of microcontrollers count: 64 KB are 65,536 bytes."""
PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s+(?:of\s+)?(ram|flash)", re.IGNORECASE)
EXAMPLE = '"64KB RAM, 256KB flash"'


@dataclass(frozen=True)
class Limits:
    """Bytes of RAM and flash; None if there is no limit."""

    ram: int | None
    flash: int | None

    def __str__(self) -> str:
        sizes = {"RAM": self.ram, "flash": self.flash}
        return " and ".join(f"{kibibytes(size)} of {kind}" for kind, size in sizes.items() if size is not None)

    def allow(self, ram: int, flash: int) -> bool:
        return (self.ram is None or ram <= self.ram) and (self.flash is None or flash <= self.flash)


def parse_limits(text: str) -> Limits:
    """Return the limits that a text names. Raise `UsageError` if it is not like "64KB RAM, 256KB flash"."""
    sizes: dict[str, int] = {}
    for part in re.split(r"[,;]|\band\b", sound_text("fit", text)):
        match = PART.fullmatch(part.strip())
        unit = UNITS.get(match[2].lower()) if match else None
        if match is None or unit is None:
            raise UsageError(f"fit {text!r}: {part.strip()!r} is no size of RAM or flash; write it like {EXAMPLE}")
        kind, size = match[3].lower(), int(float(match[1]) * unit)
        if kind in sizes:
            raise UsageError(f"fit {text!r} names {match[3]} twice; write it like {EXAMPLE}")
        if not size:
            raise UsageError(f"fit {text!r}: nothing fits 0 bytes of {match[3]}; write it like {EXAMPLE}")
        sizes[kind] = size
    return Limits(sizes.get("ram"), sizes.get("flash"))


def kibibytes(size: int) -> str:
    """Return a size in KB of 1,024 bytes, rounded up to a tenth: "35.5 KB"; less than one is in bytes."""
    if size < 1024:
        return f"{size} bytes"
    tenths = -(-10 * size // 1024)
    return f"{tenths // 10:,}" + (f".{tenths % 10}" if tenths % 10 else "") + " KB"
