"""The exponential function in C, which answers are computed with."""

from __future__ import annotations

from opsin.backends.c import Table
from opsin.export.c.program import Shipment
from opsin.export.c.templates import asset, floats

FACTORS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
EXPONENTIAL = Table.of("exponential_factors", FACTORS)


def exponential(shipment: Shipment) -> str:
    """Return the function `exponential`, which needs the table `EXPONENTIAL`."""
    return asset("exponential.c", shipment, factors=floats(FACTORS))
