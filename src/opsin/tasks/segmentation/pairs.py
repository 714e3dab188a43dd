"""Pair images with masks, by folders and suffixes or by a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    """What a file is by its name: `key` is the same for an image and its mask."""

    key: str
    is_mask: bool
    by_folder: bool
    split: str


def role(path: str) -> Role | None:
    """Return the role of an image file; None for views of a mask that are not used, such as instances."""
    *folders, _ = path.split("/")
    if any(folder.lower() in names.OTHER_FOLDERS for folder in folders):
        return None
    stem = names.stem(path)
    if stem.lower().endswith(names.OTHER_SUFFIXES):
        return None
    by_folder, kept = False, []
    for folder in folders:
        as_mask = names.without_word(folder, names.MASK_WORDS)
        by_folder |= as_mask is not None
        plain = as_mask if as_mask is not None else names.without_word(folder, names.IMAGE_WORDS)
        kept.append(folder.lower() if plain is None else plain)
    bare = names.without_suffix(stem, names.MASK_SUFFIXES)
    is_mask = by_folder or bare is not None
    bare = bare if bare is not None else names.without_suffix(stem, names.IMAGE_SUFFIXES)
    folders = [folder for folder in kept if folder]
    split = next((found for folder in folders if (found := names.split_named(folder))), "")
    return Role("/".join([*folders, bare if bare is not None else stem]), is_mask, by_folder, split)


def by_name(paths: Sequence[str]) -> Pairs | None:
    """Pair images and masks that differ in the name of a folder or in a suffix; None if the files hold no masks."""
    roles = {path: found for path in paths if names.is_image(path) and (found := role(path))}
    masks = [path for path, found in roles.items() if found.is_mask]
    images = {path: found for path, found in roles.items() if not found.is_mask}
    keys = {found.key for found in images.values()}
    stray = [path for path in masks if not roles[path].by_folder and roles[path].key not in keys]
    images |= {path: Role(_plain(roles[path], path), False, False, roles[path].split) for path in stray}
    masks = [path for path in masks if path not in images]
    paired = sum(roles[path].key in keys for path in masks)
    if not paired or paired < MIN_PAIRED_SHARE * min(len(masks), len(images)):
        return None
    result = Pairs(form="images and masks of the same name")
    _match(result, images, {path: roles[path] for path in masks})
    return result


def _plain(found: Role, path: str) -> str:
    """Return the key of a file whose suffix turned out to be part of its name."""
    return found.key.rpartition("/")[0] + "/" + names.stem(path)


def _match(result: Pairs, images: dict[str, Role], masks: dict[str, Role]) -> None:
    by_key: dict[str, str] = {}
    for path, found in images.items():
        by_key.setdefault(found.key, path)
    used: dict[str, str] = {}
    for path, found in masks.items():
        image = by_key.get(found.key)
        if image is None:
            reason = f"no image '{names.printable(found.key)}' belongs to this mask"
            result.problems.append(Problem(path, reason, NO_IMAGE))
        elif image in used:
            reason = f"{names.printable(image)} has the mask {names.printable(used[image])}, which is used"
            result.problems.append(Problem(path, reason, SECOND_MASK))
        else:
            used[image] = path
            result.pairs.append(Pair(image, path, found.split or images[image].split))
    result.pairs.sort(key=lambda pair: pair.image)
    result.problems.extend(
        Problem(path, "no mask belongs to this image", NO_MASK) for path in images if path not in used
    )
