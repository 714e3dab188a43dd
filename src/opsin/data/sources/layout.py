"""Derive classes and splits from the paths of files in a folder or an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from opsin.base.path_words import has_sample_ending
from opsin.data.items import TRAIN, UNLABELLED, UNSPLIT, FileProblem, Item, printable
from opsin.data.sources.names import split_named


@dataclass(frozen=True)
class Listing:
    """Labelled files: `items`, and the position of each one among the paths.

    Files without a class are among the `problems`. `empty` are the classes whose folders hold no file, and `notes` are
    sentences for the receipt.
    """

    items: list[Item] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def has_classes(self) -> bool:
        """Whether at least two folders are certainly classes; "train" and "test" may be splits of a table."""
        return len({item.label for item in self.items if not split_named(item.label)}) > 1


@dataclass(frozen=True)
class Layout:
    """The levels of a path: `root` folders around everything, then class and split."""

    root: int
    class_level: int
    split_level: int | None
    """None if the folders name no splits."""

    def split(self, components: Sequence[str]) -> str | None:
        """Return the split of a path; None if the folder at the level of splits does not name one."""
        return UNSPLIT if self.split_level is None else split_named(components[self.split_level])

    def stray(self, components: Sequence[str]) -> str:
        """Return the folder of a path if it is at the level of splits but does not name one, otherwise ""."""
        level = self.split_level
        if level is None or len(components) <= level + 1 or split_named(components[level]):
            return ""
        return "/".join(components[: level + 1])

    @property
    def depth(self) -> int:
        """The least number of folders that contain an image."""
        return 1 + max(self.class_level, self.split_level or 0)

    @classmethod
    def of(cls, paths: Sequence[Sequence[str]]) -> Layout:
        root = _root(paths)
        if _splits_around_classes(paths, root):
            return cls(root, root + 1, root)
        return cls(root, root, root + 1 if _splits_in_classes(paths, root) else None)


def by_folders(paths: Sequence[str], prefix: str = "", folders: Iterable[str] = ()) -> Listing:
    """Label each file with its folder: cat/1.jpg, train/cat/1.jpg and test/cat/2.jpg, or cat/train/1.jpg.

    A single folder around everything is skipped. A folder "train" is a split only if it holds class folders; otherwise
    it is a class, perhaps of vehicles. Inside class folders, it is a split if they hold nothing but splits. The names
    of the items consist of `prefix` and path. `folders` are those that may be empty.
    """
    split_paths = [path.split("/") for path in paths]
    layout = Layout.of(split_paths)
    listing, strays = Listing(), Counter[str]()
    for position, components in enumerate(split_paths):
        name = prefix + printable(paths[position])
        in_class = len(components) > layout.depth
        split = layout.split(components) if in_class else UNSPLIT
        if in_class and split is not None:
            listing.items.append(Item(name, printable(components[layout.class_level]), split))
            listing.positions.append(position)
        elif stray := layout.stray(components):
            strays[stray] += 1
        elif has_sample_ending(components[-1]):
            listing.problems.append(FileProblem(name, "in no class folder", UNLABELLED))
    for folder, count in strays.items():
        reason = f"next to the training folder, but its name is not that of a split; files in it: {count:,}"
        listing.problems.append(FileProblem(f"{prefix}{printable(folder)}/", reason, UNLABELLED))
    if layout.split_level is None and _has_splits_inside(split_paths, layout.root):
        listing.notes.append(
            "Folders inside class folders are named after splits, such as train and test, but there are images next to "
            "them, or one of them is missing. They are therefore merged, and Opsin makes the splits."
        )
    listing.empty.extend(_empty_classes(folders, split_paths, layout, {item.label for item in listing.items}))
    return listing


def _empty_classes(
    folders: Iterable[str], paths: Sequence[Sequence[str]], layout: Layout, labels: set[str]
) -> list[str]:
    """Return the classes among the `folders` that have no file."""
    root = paths[0][: layout.root] if paths else []
    classes = set()
    for folder in folders:
        components = folder.split("/")
        if len(components) <= layout.class_level or list(components[: layout.root]) != list(root):
            continue
        if (
            layout.split_level is None
            or layout.split_level > layout.class_level
            or layout.split(components) is not None
        ):
            classes.add(printable(components[layout.class_level]))
    return sorted(classes - labels)


def _root(paths: Sequence[Sequence[str]]) -> int:
    """Return the number of folders around all class folders."""
    root = 0
    while True:
        folders = {components[root] for components in paths if len(components) > root + 1}
        if (
            len(folders) != 1
            or _splits_around_classes(paths, root)
            or not any(len(components) > root + 2 for components in paths)
        ):
            return root
        root += 1


def _splits_around_classes(paths: Sequence[Sequence[str]], root: int) -> bool:
    return any(len(components) > root + 2 and split_named(components[root]) == TRAIN for components in paths)


def _folders_in(paths: Sequence[Sequence[str]], root: int) -> dict[str, set[str | None]]:
    """Return the splits named by the folders in each class folder; None for other folders, "" for images."""
    inner: dict[str, set[str | None]] = {}
    for components in paths:
        if len(components) > root + 1 and has_sample_ending(components[-1]):
            inner.setdefault(components[root], set()).add(
                split_named(components[root + 1]) if len(components) > root + 2 else ""
            )
    return inner


def _splits_in_classes(paths: Sequence[Sequence[str]], root: int) -> bool:
    """Return whether the images of each class folder are in folders named after splits, "train" and another one.

    There may be other folders if every class has both, but no images next to them.
    """
    inner = _folders_in(paths, root)
    names = set[str | None]().union(*inner.values())
    if TRAIN not in names or "" in names or len(names - {None}) < 2:
        return False
    return None not in names or all(
        TRAIN in components and len(components - {None}) > 1 for components in inner.values()
    )


def _has_splits_inside(paths: Sequence[Sequence[str]], root: int) -> bool:
    """Return whether a class folder holds several folders named after splits."""
    return any(
        TRAIN in components and len(components - {None, ""}) > 1 for components in _folders_in(paths, root).values()
    )
