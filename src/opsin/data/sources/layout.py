"""From the paths of files, in a folder or an archive, to classes and parts: class folders, divided or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from opsin.data.items import TRAIN, UNLABELLED, UNSPLIT, FileProblem, Item, shown
from opsin.data.sources.names import like_image, part_of


@dataclass(frozen=True)
class Arrangement:
    """`items` and, for each of them, its `place` among the paths; what belongs to no class is among the `problems`.

    `empty` are the classes whose folders hold no file, `notes` sentences for the receipt.
    """

    items: list[Item] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def has_classes(self) -> bool:
        """Whether at least two folders are classes without doubt; "train" and "test" could be parts of a table's."""
        return len({item.label for item in self.items if not part_of(item.label)}) > 1


@dataclass(frozen=True)
class Layout:
    """Where a path says what: so many folders are around everything, then come class and part."""

    root: int
    class_at: int
    part_at: int | None
    """None where the data is not divided."""

    def part(self, parts: Sequence[str]) -> str | None:
        """The part of a path; None where the folder that should be a part has no part's name."""
        return UNSPLIT if self.part_at is None else part_of(parts[self.part_at])

    def stray(self, parts: Sequence[str]) -> str:
        """The folder of a path that lies where a part should be, and is called otherwise; "" for other paths."""
        at = self.part_at
        return "/".join(parts[: at + 1]) if at is not None and len(parts) > at + 1 and not part_of(parts[at]) else ""

    @property
    def depth(self) -> int:
        """Folders that an image lies in at least."""
        return 1 + max(self.class_at, self.part_at or 0)

    @classmethod
    def of(cls, split: Sequence[Sequence[str]]) -> Layout:
        root = _root(split)
        if _divided(split, root):
            return cls(root, root + 1, root)
        return cls(root, root, root + 1 if _divided_within(split, root) else None)


def by_folders(paths: Sequence[str], prefix: str = "", folders: Iterable[str] = ()) -> Arrangement:
    """Each file's class is the folder it is in: cat/1.jpg, train/cat/1.jpg and test/cat/2.jpg, or cat/train/1.jpg.

    A single folder around everything is looked through. "train" is a part only where it holds class folders, or else
    a class, of vehicles perhaps; inside of class folders where nothing but parts is in these. Items are named by
    `prefix` and path. `folders` are those that may be without a file.
    """
    split = [path.split("/") for path in paths]
    layout = Layout.of(split)
    made, strays = Arrangement(), Counter[str]()
    for place, parts in enumerate(split):
        name = prefix + shown(paths[place])
        deep = len(parts) > layout.depth
        part = layout.part(parts) if deep else UNSPLIT
        if deep and part is not None:
            made.items.append(Item(name, shown(parts[layout.class_at]), part))
            made.places.append(place)
        elif stray := layout.stray(parts):
            strays[stray] += 1
        elif like_image(parts[-1]):
            made.problems.append(FileProblem(name, "in no class folder", UNLABELLED))
    for folder, count in strays.items():
        reason = f"beside the training folder, but no validation or test folder by its name; files in it: {count:,}"
        made.problems.append(FileProblem(f"{prefix}{shown(folder)}/", reason, UNLABELLED))
    if layout.part_at is None and _has_parts_inside(split, layout.root):
        made.notes.append(
            "Folders inside of class folders are called after parts, such as train and test, but images lie beside "
            "them or one of them is missing: all are taken together, and parts are made here."
        )
    made.empty.extend(_empty(folders, split, layout, {item.label for item in made.items}))
    return made


def _empty(folders: Iterable[str], split: Sequence[Sequence[str]], layout: Layout, labels: set[str]) -> list[str]:
    """The classes among the `folders` that no file has."""
    around = split[0][: layout.root] if split else []
    found = set()
    for folder in folders:
        parts = folder.split("/")
        if len(parts) <= layout.class_at or list(parts[: layout.root]) != list(around):
            continue
        if layout.part_at is None or layout.part_at > layout.class_at or layout.part(parts) is not None:
            found.add(shown(parts[layout.class_at]))
    return sorted(found - labels)


def _root(split: Sequence[Sequence[str]]) -> int:
    """How many folders are around all class folders."""
    root = 0
    while True:
        folders = {parts[root] for parts in split if len(parts) > root + 1}
        if len(folders) != 1 or _divided(split, root) or not any(len(parts) > root + 2 for parts in split):
            return root
        root += 1


def _divided(split: Sequence[Sequence[str]], root: int) -> bool:
    return any(len(parts) > root + 2 and part_of(parts[root]) == TRAIN for parts in split)


def _inner(split: Sequence[Sequence[str]], root: int) -> dict[str, set[str | None]]:
    """The parts that the folders inside of each class folder are, None for others; "" for images beside them."""
    inner: dict[str, set[str | None]] = {}
    for parts in split:
        if len(parts) > root + 1 and like_image(parts[-1]):
            inner.setdefault(parts[root], set()).add(part_of(parts[root + 1]) if len(parts) > root + 2 else "")
    return inner


def _divided_within(split: Sequence[Sequence[str]], root: int) -> bool:
    """Whether each class folder is divided: its images lie in folders that are parts, "train" and another of them.

    Other folders may be there where every class has both, and no image may be beside them.
    """
    inner = _inner(split, root)
    found = set[str | None]().union(*inner.values())
    if TRAIN not in found or "" in found or len(found - {None}) < 2:
        return False
    return None not in found or all(TRAIN in parts and len(parts - {None}) > 1 for parts in inner.values())


def _has_parts_inside(split: Sequence[Sequence[str]], root: int) -> bool:
    """Whether a class folder holds several folders that are called after parts."""
    return any(TRAIN in parts and len(parts - {None, ""}) > 1 for parts in _inner(split, root).values())
