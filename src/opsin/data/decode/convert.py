"""Any kind of decoded image as grey or RGB, eight bits a channel, upright."""

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
"""What brings an image upright, by EXIF's orientation (CIPA DC-008, section 4.6.4)."""

SWAPPED_ORIENTATIONS = (5, 6, 7, 8)
"""Orientations that swap height and width."""


def is_grey(mode: str) -> bool:
    return mode in GREY_MODES or mode.startswith("I;16")


def orientation(image: Image.Image) -> int:
    """EXIF's number from 1 to 8; 1 where the metadata is absent or makes no sense."""
    try:
        value = image.getexif().get(ORIENTATION)
    except Exception:  # whatever is wrong with the metadata, nothing is wrong with the image
        return 1
    return value if isinstance(value, int) and value in TRANSPOSES else 1


def exif_transpose(image: Image.Image) -> Image.Image:
    turn = TRANSPOSES.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def to_mode(image: Image.Image, mode: str) -> Image.Image:
    """An image of eight bits in `mode` L or RGB; what is transparent becomes white."""
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
    """Channels that are multiplied by alpha: to each the white is added that shines through."""
    *shades, alpha = image.split()
    through = ImageChops.invert(alpha)
    return Image.merge(image.mode[:-1], [ImageChops.add(shade, through) for shade in shades])


@cache
def _from_lab() -> ImageCms.ImageCmsTransform:
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(*profiles, "LAB", "RGB")
