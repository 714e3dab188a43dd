"""Convert decoded images to upright grey or RGB images with eight bits per channel."""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageChops, ImageCms

GREY_MODES = ("1", "L", "LA", "La", "I", "F")
PREMULTIPLIED_MODES = ("La", "RGBa")

ORIENTATION = 0x0112
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transformations that make images upright, by EXIF orientation (CIPA DC-008, section 4.6.4)."""

SWAPPED_ORIENTATIONS = (5, 6, 7, 8)
"""Orientations that swap height and width."""


def is_grey(mode: str) -> bool:
    return mode in GREY_MODES or mode.startswith("I;16")


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation from 1 to 8; 1 if the metadata is missing or invalid."""
    try:
        value = image.getexif().get(ORIENTATION)
    except Exception:  # damaged metadata does not make an image unusable
        return 1
    return value if isinstance(value, int) and value in TRANSPOSES else 1


def exif_transpose(image: Image.Image) -> Image.Image:
    method = TRANSPOSES.get(orientation(image))
    return image if method is None else image.transpose(method)


def to_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert an 8-bit image to `mode` L or RGB; transparent pixels become white."""
    if image.mode == "LAB":
        image = ImageCms.applyTransform(image, _from_lab()) or image
    if image.mode in PREMULTIPLIED_MODES:
        image = _on_white(image)
    elif image.has_transparency_data:
        with_alpha = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(with_alpha, mask=with_alpha.getchannel("A"))
    return image if image.mode == mode else image.convert(mode)


def _on_white(image: Image.Image) -> Image.Image:
    """Compose an image with premultiplied alpha on white."""
    *shades, alpha = image.split()
    through = ImageChops.invert(alpha)
    return Image.merge(image.mode[:-1], [ImageChops.add(shade, through) for shade in shades])


@cache
def _from_lab() -> ImageCms.ImageCmsTransform:
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(*profiles, "LAB", "RGB")
