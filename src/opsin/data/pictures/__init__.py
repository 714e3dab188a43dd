"""Picture files to arrays: decoded, turned upright, grey or RGB, and of the size asked for."""

from opsin.data.pictures.fit import INTERPOLATIONS, Crop
from opsin.data.pictures.read import Header, Source, read_both, read_header, read_image, read_picture

__all__ = ["INTERPOLATIONS", "Crop", "Header", "Source", "read_both", "read_header", "read_image", "read_picture"]
