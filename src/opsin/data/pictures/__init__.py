"""Picture files to arrays: decoded, turned upright, grey or RGB, and of the size asked for."""

from opsin.data.pictures.fit import INTERPOLATIONS, Crop
from opsin.data.pictures.opened import Header
from opsin.data.pictures.read import (
    Read,
    Source,
    may_be_deep,
    read_all,
    read_header,
    read_image,
    read_picture,
    read_values,
)
from opsin.data.pictures.samples import Range, checked_range, natural

__all__ = [
    "INTERPOLATIONS", "Crop", "Header", "Range", "Read", "Source", "checked_range", "may_be_deep", "natural",
    "read_all", "read_header", "read_image", "read_picture", "read_values",
]  # fmt: skip
