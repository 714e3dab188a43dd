"""Kinds of problems of segmentation data: stable keys for programs."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.base.errors import DataError
from opsin.tasks.annotations import Problem

NO_IMAGE = "mask without image"
NO_MASK = "image without mask"
SECOND_MASK = "second mask"
MASK_SIZE = "mask size"
UNKNOWN_ID = "unknown id"
UNKNOWN_COLOUR = "unknown colour"
DAMAGED_MASK = "damaged mask"
DAMAGED_IMAGE = "damaged image"
EMPTY_MASK = "empty mask"
FORBIDDEN_PATH = "path"
TOO_LARGE = "too large"
BAD_TABLE = "bad table"
BAD_JSON = "bad JSON"
BAD_REGION = "bad region"
UNKNOWN_CLASS = "unknown class"
UNKNOWN_SPLIT = "unknown split"
PROBLEM_KINDS = (
    NO_IMAGE,  # a mask, a row or an annotation whose image does not exist
    NO_MASK,  # an image that has no mask
    SECOND_MASK,  # another mask of an image that has one
    MASK_SIZE,  # a mask, or a size in an annotation, that is not that of its image; not used
    UNKNOWN_ID,  # pixels with ids that no class has; these pixels are ignored
    UNKNOWN_COLOUR,  # pixels in colours that the table does not list; these pixels are ignored
    DAMAGED_MASK,  # a mask that cannot be decoded
    DAMAGED_IMAGE,  # an image whose size cannot be read
    EMPTY_MASK,  # a mask without a pixel that counts
    FORBIDDEN_PATH,  # a path in a table or an annotation that leaves the data
    TOO_LARGE,  # more bytes or pixels than the limits allow
    BAD_TABLE,  # a table that cannot be read
    BAD_JSON,  # a JSON file that cannot be read
    BAD_REGION,  # a polygon or run-length code that describes no region
    UNKNOWN_CLASS,  # an annotation of a category that the file does not define
    UNKNOWN_SPLIT,  # a row in a split that is not train, validation or test
)


class MaskError(DataError):
    """A mask cannot be used; `kind` is one of `PROBLEM_KINDS`."""

    def __init__(self, reason: str, kind: str = DAMAGED_MASK) -> None:
        super().__init__(reason)
        self.kind = kind

    def problem(self, name: str) -> Problem:
        return Problem(name, self.reason, self.kind)


@dataclass(frozen=True)
class Count:
    """A count of pixels as a phrase."""

    pixels: int

    def __str__(self) -> str:
        return f"{self.pixels:,} pixel{'s' if self.pixels != 1 else ''}"
