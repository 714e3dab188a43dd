"""Interpret the names of files: their splits, and the images that annotations refer to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from opsin.base.concurrency import lazy
from opsin.base.formatting import listed
from opsin.base.path_words import IMAGE_ENDINGS, PHOTO_ENDINGS, is_visible, splits_mentioned
from opsin.tasks.problems import AMBIGUOUS_IMAGE, MISSING_IMAGE, UNSAFE_PATH, AnnotationFault, printable


def stem(path: str) -> str:
    """Return the name of a file without folders and extension."""
    return posixpath.splitext(posixpath.basename(path))[0]


def split_of(path: str) -> str:
    """Return the split that the file's name or the innermost of its folders is named after; "" if none is.

    "annotations/instances_val2017.json" and "valid/images/1.jpg" belong to the validation data.
    """
    words = path.split("/")[::-1]
    for part in [stem(words[0]), *words[1:]]:
        found = set(splits_mentioned(part))
        if len(found) == 1:
            return found.pop()
    return ""


def folder_split(path: str) -> str:
    """Return the split that one of the folders of a file is named after; "" if none is."""
    folder = posixpath.dirname(path)
    return split_of(folder + "/") if folder else ""


def normalized(path: str) -> str | None:
    r"""Return a path with "/" and without ".", drive and root; None if it leads out of its folder: "../a"."""
    relative = re.sub(r"^([A-Za-z]:)?/*", "", path.strip().replace("\\", "/"))
    result = posixpath.normpath(relative) if relative else "."
    return None if result in (".", "..") or result.startswith("../") or "\0" in result else result


class ImageIndex:
    """The images among the files, by path, by name and by name without extension.

    They are sorted when they are first needed: most folders hold no annotations that name images. With other
    `endings`, samples of another kind take the place of images.
    """

    def __init__(self, paths: Iterable[str], endings: tuple[str, ...] = IMAGE_ENDINGS + PHOTO_ENDINGS) -> None:
        self._files, self.endings = paths, endings

    def is_sample(self, path: str) -> bool:
        """Return whether the file at a path is an image, or a sample of the other kind, by its extension."""
        return path.lower().endswith(self.endings) and is_visible(path)

    @lazy
    def paths(self) -> list[str]:
        """The paths of all images."""
        return [path for path in self._files if self.is_sample(path)]

    @lazy
    def _exact(self) -> set[str]:
        return set(self.paths)

    @lazy
    def _by_name(self) -> dict[str, list[str]]:
        return self._grouped(posixpath.basename)

    @lazy
    def _by_stem(self) -> dict[str, list[str]]:
        return self._grouped(stem)

    @lazy
    def _by_base(self) -> dict[str, list[str]]:
        return self._grouped(lambda path: posixpath.splitext(path)[0])

    def _grouped(self, key: Callable[[str], str]) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for path in self.paths:
            groups.setdefault(key(path).lower(), []).append(path)
        return groups

    def find(self, reference: str, folder: str = "", split: str = "") -> str:
        """Return the image that an annotation in `folder` means by a path, a file name, or a name without extension.

        An existing path counts first. Otherwise the file whose path ends most like the reference is chosen; of
        several, the one in a folder of the split, then the one nearest to `folder`. Raise `AnnotationFault` if there
        is no such image, or more than one.
        """
        path = normalized(reference)
        if path is None:
            raise AnnotationFault(UNSAFE_PATH, f"'{printable(reference)}' is not a path inside the data")
        for exact in (posixpath.join(folder, path), path):
            if exact in self._exact:
                return exact
            named = self._by_base.get(exact.lower(), ())
            if len(named) == 1:
                return named[0]
        name = posixpath.basename(path).lower()
        files = self._by_name.get(name) or self._by_stem.get(name) or self._by_stem.get(stem(name))
        if not files:
            raise AnnotationFault(MISSING_IMAGE, f"there is no image '{printable(reference)}'")
        return self._nearest(files, path, folder, split)

    def with_stem(self, name: str) -> Sequence[str]:
        """Return the images whose names without extension equal `name`, ignoring case."""
        return self._by_stem.get(name.lower(), ())

    def _nearest(self, files: list[str], path: str, folder: str, split: str) -> str:
        def rank(file: str) -> tuple[int, bool, int]:
            same_split = bool(split) and folder_split(file) == split
            return _common(reversed(_folders(path)), reversed(_folders(file))), same_split, _closeness(file, folder)

        best = max(map(rank, files))
        chosen = [file for file in files if rank(file) == best]
        if len(chosen) > 1:
            raise AnnotationFault(AMBIGUOUS_IMAGE, f"it may mean {listed(map(printable, chosen), 3)}; give its path")
        return chosen[0]


def _folders(path: str) -> list[str]:
    return [part.lower() for part in path.split("/")[:-1]]


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """Return the number of first parts that are equal."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _closeness(file: str, folder: str) -> int:
    """Return minus the number of steps from one folder to the other."""
    here, there = _folders(f"{folder}/x") if folder else [], _folders(file)
    return 2 * _common(here, there) - len(here) - len(there)
