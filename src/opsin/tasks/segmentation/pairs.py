"""Pair images with masks, by folders and suffixes or by a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from opsin.base.path_words import is_image, split_named
from opsin.tasks.annotations import Problem
from opsin.tasks.segmentation import names
from opsin.tasks.segmentation.problems import NO_IMAGE, NO_MASK, SECOND_MASK

MIN_PAIRED_SHARE = 0.5
"""The share of the masks that must have an image for files to be taken as masks."""


@dataclass(frozen=True)
class Pair:
    image: str
    mask: str
    split: str = ""


@dataclass
class Pairs:
    pairs: list[Pair] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    form: str = ""


@dataclass(frozen=True)
class Role:
    """What a file is by its name.

    The `exact` key is its path without words for images and masks in folders, the `bare` key that without such a
    suffix of its name as well. An image and its mask have a key in common.
    """

    exact: str
    bare: str
    in_mask_folder: bool
    has_mask_suffix: bool
    split: str


def role(path: str) -> Role | None:
    """Return the role of an image file; None for views of a mask that are not used, such as instances."""
    place, stem = _place(path.rpartition("/")[0]), names.stem(path)
    if place is None or stem.lower().endswith(names.OTHER_SUFFIXES):
        return None
    as_mask = names.without_suffix(stem, names.MASK_SUFFIXES)
    bare = as_mask or names.without_suffix(stem, names.IMAGE_SUFFIXES) or stem
    return Role(place.key + stem, place.key + bare, place.holds_masks, as_mask is not None, place.split)


@dataclass(frozen=True)
class Place:
    """What a folder says of its files. `key` is its path without words for images and masks, with "/" at its end."""

    key: str
    holds_masks: bool
    split: str


@lru_cache(maxsize=4096)
def _place(path: str) -> Place | None:
    """Return what a folder says; None if it holds views of masks that are not used."""
    folders = path.split("/") if path else []
    if any(folder.lower() in names.OTHER_FOLDERS for folder in folders):
        return None
    without_mask = [names.without_word(folder, names.MASK_WORDS) for folder in folders]
    bare_folders = [
        folder if folder is not None else _without_image_word(original)
        for folder, original in zip(without_mask, folders, strict=True)
    ]
    parts = [folder for folder in bare_folders if folder]
    split = next(filter(None, map(split_named, parts)), "")
    return Place("".join(f"{part}/" for part in parts), any(folder is not None for folder in without_mask), split)


def _without_image_word(folder: str) -> str:
    bare = names.without_word(folder, names.IMAGE_WORDS)
    return folder.lower() if bare is None else bare


def by_name(paths: Sequence[str]) -> Pairs | None:
    """Pair images and masks that differ in the name of a folder or in a suffix; None if the files hold no masks.

    Suffixes only say what a file is if there are no folders of masks: "left_l.png" may be a photo of an eye.
    """
    roles = {path: entry for path in paths if is_image(path) and (entry := role(path))}
    masks = {path: entry for path, entry in roles.items() if entry.in_mask_folder} or _by_suffix(roles)
    images = {path: entry for path, entry in roles.items() if path not in masks}
    by_key = {entry.bare: path for path, entry in reversed(images.items())}
    by_key |= {entry.exact: path for path, entry in reversed(images.items())}
    image_of = {path: by_key.get(entry.exact) or by_key.get(entry.bare) for path, entry in masks.items()}
    pair_count = sum(image is not None for image in image_of.values())
    if not pair_count or pair_count < MIN_PAIRED_SHARE * min(len(masks), len(images)):
        return None
    return _matched(image_of, images, masks)


def _by_suffix(roles: dict[str, Role]) -> dict[str, Role]:
    """Return the files with a suffix of masks next to one without it."""
    plain = {entry.bare for entry in roles.values() if not entry.has_mask_suffix}
    return {path: entry for path, entry in roles.items() if entry.has_mask_suffix and entry.bare in plain}


def _matched(image_of: dict[str, str | None], images: dict[str, Role], masks: dict[str, Role]) -> Pairs:
    result = Pairs(form="images and masks of the same name")
    mask_of: dict[str, str] = {}
    for path, image in image_of.items():
        if image is None:
            reason = f"no image '{names.printable(masks[path].bare)}' belongs to this mask"
            result.problems.append(Problem(path, reason, NO_IMAGE))
        elif image in mask_of:
            reason = f"{names.printable(image)} has the mask {names.printable(mask_of[image])}, which is used"
            result.problems.append(Problem(path, reason, SECOND_MASK))
        else:
            mask_of[image] = path
            result.pairs.append(Pair(image, path, masks[path].split or images[image].split))
    result.pairs.sort(key=lambda pair: pair.image)
    unused = [path for path in images if path not in mask_of]
    result.problems.extend(Problem(path, "no mask belongs to this image", NO_MASK) for path in unused)
    return result
