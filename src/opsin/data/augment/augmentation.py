"""The limits within which images are changed at random."""

from __future__ import annotations

from dataclasses import dataclass, fields

from opsin.base.errors import UsageError
from opsin.ir.checked import settle

BOUNDS = {"rotation": (0, 180), "aspect": (1, 10)}
"""From where to where the limits go that are no shares."""


@dataclass(frozen=True)
class Augmentation:
    """Limits of what happens to each image; as it stands, nothing.

    Geometry is one affine map an image. `flip`: half of the images are mirrored left to right, the other half in the
    next epoch. `shift` is a share of the side, `rotation` an angle in degrees, `scale` a share of the size, all to both
    sides. `crop_area` below 1 takes a random part of at least that share of the image's area, its proportions changed by
    up to the factor `aspect` (random resized crops: Szegedy et al. 2015), in place of shift and zoom. `bilinear`
    interpolates between pixels (bilinearly) rather than take the nearest.

    Colour: `brightness`, `contrast` and `saturation` are multiplied by 1 ± so much.

    Parts: `cutout` is the side of a box without content, as a share of the shorter side (DeVries & Taylor 2017).
    `mixup` and `cutmix` are the shares of the images that are blended with another (Zhang et al. 2018), or have a
    box replaced by another's (Yun et al. 2019); where either is above 0, targets become shares of classes. Raises
    `UsageError` for a limit that makes no sense.
    """

    flip: bool = False
    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    crop_area: float = 1.0
    aspect: float = 1.0
    bilinear: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        settle(self)
        for field in fields(self):
            value, least, most = getattr(self, field.name), *BOUNDS.get(field.name, (0, 1))
            if not least <= value <= most:
                raise UsageError(f"augmentation: {field.name} must be a number from {least} to {most}, not {value:g}")
        if self.mixup + self.cutmix > 1:
            raise UsageError(f"augmentation: mixup and cutmix are {self.mixup + self.cutmix:g} together, above 1")

    @property
    def changes_colour(self) -> bool:
        """Whether colours change."""
        return bool(self.brightness or self.contrast or self.saturation)

    @property
    def mixes(self) -> bool:
        """Whether images come with shares of several classes, float32 N × classes, instead of labels."""
        return bool(self.mixup or self.cutmix)
