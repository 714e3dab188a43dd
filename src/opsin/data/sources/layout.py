"""From the paths of files, in a folder or an archive, to classes and parts: class folders, divided or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from opsin.data.items import TRAIN, UNLABELLED, UNSPLIT, FileProblem, Item, printable
from opsin.data.sources.names import has_image_ending, split_named


@dataclass(frozen=True)
class Listing:
    """`items` and, for each of them, its `position` among the paths; what belongs to no class is among the `problems`.

    `empty` are the classes whose folders hold no file, `notes` sentences for the receipt.
    """

    items: list[Item] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def has_classes(self) -> bool:
        """Whether at least two folders are classes without doubt; "train" and "test" could be parts of a table's."""
        return len({item.label for item in self.items if not split_named(item.label)}) > 1


@dataclass(frozen=True)
class Layout:
    """Where a path says what: so many folders are around everything, then come class and part."""

    root: int
    class_level: int
    split_level: int | None
    """None where the data is not divided."""

    def split(self, components: Sequence[str]) -> str | None:
        """The part of a path; None where the folder that should be a part has no part's name."""
        return UNSPLIT if self.split_level is None else split_named(components[self.split_level])

    def stray(self, components: Sequence[str]) -> str:
        """The folder of a path that lies where a part should be, and is called otherwise; "" for other paths."""
        at = self.split_level
        return (
            "/".join(components[: at + 1])
            if at is not None and len(components) > at + 1 and not split_named(components[at])
            else ""
        )

    @property
    def depth(self) -> int:
        """Folders that an image lies in at least."""
        return 1 + max(self.class_level, self.split_level or 0)

    @classmethod
    def of(cls, paths_split: Sequence[Sequence[str]]) -> Layout:
        root = _root(paths_split)
        if _divided(paths_split, root):
            return cls(root, root + 1, root)
        return cls(root, root, root + 1 if _divided_within(paths_split, root) else None)


def by_folders(paths: Sequence[str], prefix: str = "", folders: Iterable[str] = ()) -> Listing:
    """Each file's class is the folder it is in: cat/1.jpg, train/cat/1.jpg and test/cat/2.jpg, or cat/train/1.jpg.

    A single folder around everything is looked through. "train" is a part only where it holds class folders, or else
    a class, of vehicles perhaps; inside of class folders where nothing but parts is in these. Items are named by
    `prefix` and path. `folders` are those that may be without a file.
    """
    paths_split = [path.split("/") for path in paths]
    layout = Layout.of(paths_split)
    made, strays = Listing(), Counter[str]()
    for position, components in enumerate(paths_split):
        name = prefix + printable(paths[position])
        deep = len(components) > layout.depth
        split = layout.split(components) if deep else UNSPLIT
        if deep and split is not None:
            made.items.append(Item(name, printable(components[layout.class_level]), split))
            made.positions.append(position)
        elif stray := layout.stray(components):
            strays[stray] += 1
        elif has_image_ending(components[-1]):
            made.problems.append(FileProblem(name, "in no class folder", UNLABELLED))
    for folder, count in strays.items():
        reason = f"beside the training folder, but no validation or test folder by its name; files in it: {count:,}"
        made.problems.append(FileProblem(f"{prefix}{printable(folder)}/", reason, UNLABELLED))
    if layout.split_level is None and _has_parts_inside(paths_split, layout.root):
        made.notes.append(
            "Folders inside of class folders are called after parts, such as train and test, but images lie beside "
            "them or one of them is missing: all are taken together, and parts are made here."
        )
    made.empty.extend(_empty(folders, paths_split, layout, {item.label for item in made.items}))
    return made


def _empty(folders: Iterable[str], paths_split: Sequence[Sequence[str]], layout: Layout, labels: set[str]) -> list[str]:
    """The classes among the `folders` that no file has."""
    around = paths_split[0][: layout.root] if paths_split else []
    found = set()
    for folder in folders:
        components = folder.split("/")
        if len(components) <= layout.class_level or list(components[: layout.root]) != list(around):
            continue
        if (
            layout.split_level is None
            or layout.split_level > layout.class_level
            or layout.split(components) is not None
        ):
            found.add(printable(components[layout.class_level]))
    return sorted(found - labels)


def _root(paths_split: Sequence[Sequence[str]]) -> int:
    """How many folders are around all class folders."""
    root = 0
    while True:
        folders = {components[root] for components in paths_split if len(components) > root + 1}
        if (
            len(folders) != 1
            or _divided(paths_split, root)
            or not any(len(components) > root + 2 for components in paths_split)
        ):
            return root
        root += 1


def _divided(paths_split: Sequence[Sequence[str]], root: int) -> bool:
    return any(len(components) > root + 2 and split_named(components[root]) == TRAIN for components in paths_split)


def _inner(paths_split: Sequence[Sequence[str]], root: int) -> dict[str, set[str | None]]:
    """The parts that the folders inside of each class folder are, None for others; "" for images beside them."""
    inner: dict[str, set[str | None]] = {}
    for components in paths_split:
        if len(components) > root + 1 and has_image_ending(components[-1]):
            inner.setdefault(components[root], set()).add(
                split_named(components[root + 1]) if len(components) > root + 2 else ""
            )
    return inner


def _divided_within(paths_split: Sequence[Sequence[str]], root: int) -> bool:
    """Whether each class folder is divided: its images lie in folders that are parts, "train" and another of them.

    Other folders may be there where every class has both, and no image may be beside them.
    """
    inner = _inner(paths_split, root)
    found = set[str | None]().union(*inner.values())
    if TRAIN not in found or "" in found or len(found - {None}) < 2:
        return False
    return None not in found or all(
        TRAIN in components and len(components - {None}) > 1 for components in inner.values()
    )


def _has_parts_inside(paths_split: Sequence[Sequence[str]], root: int) -> bool:
    """Whether a class folder holds several folders that are called after parts."""
    return any(
        TRAIN in components and len(components - {None, ""}) > 1 for components in _inner(paths_split, root).values()
    )
