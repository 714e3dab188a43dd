"""Read folders with the images of one identity each: people/ANNA/1.jpg, or people/train/ANNA/1.jpg."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.base.path_words import is_image, split_named
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem
from opsin.tasks.identity.groups import read_groups
from opsin.tasks.problems import UNREADABLE_IMAGE, printable

FORM = "a folder for each identity"
NO_IDENTITY = "no identity"


def read(files: Files, image_size: ImageSize) -> Annotations | None:
    """Return the images in folders of identities; None if no image lies in a folder.

    Raise `DataError` if there is only one image of each identity: nothing could be compared.
    """
    problems: list[Problem] = []
    images: list[AnnotatedImage] = []
    for path in filter(is_image, files.paths):
        identity, split = identity_of(path)
        if not identity:
            problems.append(Problem(path, "lies in no folder that is named after an identity", NO_IDENTITY))
        elif image_size(path) is None:
            problems.append(Problem(path, "the image cannot be read", UNREADABLE_IMAGE))
        else:
            images.append(AnnotatedImage(path, identity, split))
    if not images:
        return None
    counts = Counter(image.target for image in images)
    several = sum(count > 1 for count in counts.values())
    if not several:
        raise DataError(
            f"{files.name} holds one image of each of {len(counts):,} identities; to learn and to measure what the "
            "same one looks like, give at least two images each of several identities: people/ANNA/1.jpg, "
            "people/ANNA/2.jpg"
        )
    notes = [f"{len(counts):,} identities, {several:,} of them with two images or more."]
    if both := _in_several_splits(images):
        notes.append(
            f"Identities in more than one split: {len(both):,}, such as {listed(map(printable, both), 3)}; scores on "
            "identities that were trained on are too good."
        )
    names = tuple(sorted(counts))
    groups, unused, about_groups = read_groups(files, names)
    return Annotations(images, {"names": names, "groups": groups}, [*problems, *unused], [*notes, *about_groups], FORM)


def identity_of(path: str) -> tuple[str, str]:
    """Return the identity that an image shows by its folders, and its split; "" if it is in no folder or no split.

    The outermost folder is a split if it is named after one and holds further folders: an identity may be called Val.
    """
    *folders, _ = path.split("/")
    split = split_named(folders[0]) if len(folders) > 1 else ""
    return "/".join(folders[1:] if split else folders), split


def _in_several_splits(images: Sequence[AnnotatedImage]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for image in images:
        splits.setdefault(image.target, set()).add(image.split)
    return [identity for identity, found in splits.items() if len(found) > 1]
