"""The bounds of the random changes to training images."""

from __future__ import annotations

from dataclasses import dataclass, fields

from opsin.base.errors import UsageError
from opsin.ir.checked import check_fields

BOUNDS = {"rotation": (0, 180), "aspect": (1, 10), "gamma": (0, 9)}
"""The smallest and the largest value of fields that are not shares between 0 and 1."""


@dataclass(frozen=True)
class Augmentation:
    """Bounds of the random changes to each image. By default nothing is changed.

    Geometry: one affine map per image. `flip` mirrors half of the images left to right, and the other half in the next
    epoch. `quarter_turns` turns images by 0°, 90°, 180° or 270°. `shift` is a share of the side length, `rotation` an
    angle in degrees and `scale` a share of the size; each is drawn between minus and plus this value. If `crop_area` is
    below 1, a random part with at least this share of the area is cropped, its aspect ratio changed by up to the factor
    `aspect` (random resized crop, Szegedy et al. 2015); shift and scale are then ignored. `bilinear` interpolates
    between pixels; otherwise the nearest pixel is taken.

    Colour: `brightness`, `contrast` and `saturation` are multiplied by a factor between 1 - x and 1 + x. Contrast
    scales the distance from the mean of all images, or with `own_contrast` from the image's own mean. `hue` turns the
    colours around the grey axis by an angle between minus and plus this share of a full turn. The share `grey` of the
    images loses its colours. `gamma` raises the values of each image, as shares of its largest, to a power between
    1 / (1 + x) and 1 + x.

    Occlusion and mixing: `cutout` is the side of an empty box, as a share of the shorter side (DeVries & Taylor 2017).
    `mixup` and `cutmix` are the shares of the images that are blended with another image (Zhang et al. 2018) or have a
    box replaced by that of another one (Yun et al. 2019). If either is above 0, targets are shares of classes.

    Raise `UsageError` for a value out of bounds.
    """

    flip: bool = False
    quarter_turns: bool = False
    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    crop_area: float = 1.0
    aspect: float = 1.0
    bilinear: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    own_contrast: bool = False
    hue: float = 0.0
    grey: float = 0.0
    gamma: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        for field in fields(self):
            value, low, high = getattr(self, field.name), *BOUNDS.get(field.name, (0, 1))
            if not low <= value <= high:
                raise UsageError(f"augmentation: {field.name} must be a number from {low} to {high}, not {value:g}")
        if self.mixup + self.cutmix > 1:
            raise UsageError(
                f"augmentation: mixup and cutmix must not exceed 1 in total, but are {self.mixup + self.cutmix:g}"
            )

    @property
    def changes_colour(self) -> bool:
        return bool(self.brightness or self.contrast or self.saturation or self.hue or self.grey)

    @property
    def mixes(self) -> bool:
        """Whether targets are shares of classes, float32 N × classes, instead of labels."""
        return bool(self.mixup or self.cutmix)
