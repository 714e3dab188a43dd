"""Image files to arrays: decoded, turned upright, grey or RGB, and of the size asked for."""

from opsin.data.decode.fit import INTERPOLATIONS, Crop
from opsin.data.decode.opened import Header
from opsin.data.decode.read import (
    DecodedImage,
    Source,
    may_be_deep,
    read_all,
    read_header,
    read_pil,
    read_pixels,
    read_values,
)
from opsin.data.decode.samples import Range, checked_range, natural

__all__ = [
    "INTERPOLATIONS",
    "Crop",
    "DecodedImage",
    "Header",
    "Range",
    "Source",
    "checked_range",
    "may_be_deep",
    "natural",
    "read_all",
    "read_header",
    "read_pil",
    "read_pixels",
    "read_values",
]  # fmt: skip
