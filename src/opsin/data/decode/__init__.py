"""Decode image files to arrays: upright, grey or RGB, at the requested size."""

from opsin.data.decode.bit_depth import PixelRange, check_range, infer_range
from opsin.data.decode.fit import INTERPOLATIONS, Crop, Framing, Portable, Stretch
from opsin.data.decode.image_reader import ImageHeader
from opsin.data.decode.read import (
    DecodedImage,
    ImageSource,
    decode_image,
    decode_pil,
    may_have_high_depth,
    read_header,
    read_image,
    read_pixels,
    read_value_range,
)

__all__ = [
    "INTERPOLATIONS",
    "Crop",
    "DecodedImage",
    "Framing",
    "ImageHeader",
    "ImageSource",
    "PixelRange",
    "Portable",
    "Stretch",
    "check_range",
    "decode_image",
    "decode_pil",
    "infer_range",
    "may_have_high_depth",
    "read_header",
    "read_image",
    "read_pixels",
    "read_value_range",
]
