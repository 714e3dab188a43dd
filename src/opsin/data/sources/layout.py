"""From the paths of files, in a folder or an archive, to classes and parts: class folders, divided or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from opsin.data.items import TRAIN, UNDIVIDED, UNLABELLED, Item, Problem, shown
from opsin.data.sources.names import like_picture, part_of


@dataclass(frozen=True)
class Arrangement:
    """`items` and, for each of them, its `place` among the paths; what belongs to no class is among the `problems`."""

    items: list[Item] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def has_classes(self) -> bool:
        """Whether at least two folders are classes without doubt; "train" and "test" could be parts of a table's."""
        return len({item.label for item in self.items if not part_of(item.label)}) > 1


def by_folders(paths: Sequence[str], prefix: str = "") -> Arrangement:
    """Each file's class is the folder it is in: cat/1.jpg, or train/cat/1.jpg and test/cat/2.jpg.

    A single folder around everything is looked through. "train" is a part only where it holds class folders, or else
    a class, of vehicles perhaps. Items are named by `prefix` and path.
    """
    split = [path.split("/") for path in paths]
    root = _root(split)
    divided = _divided(split, root)
    made, strays = Arrangement(), Counter[str]()
    for place, parts in enumerate(split):
        name = prefix + shown(paths[place])
        label_at = root + divided
        part = part_of(parts[root]) if divided else UNDIVIDED
        if len(parts) > label_at + 1 and part is not None:
            made.items.append(Item(name, shown(parts[label_at]), part))
            made.places.append(place)
        elif part is None and len(parts) > root + 1:
            strays["/".join(parts[: root + 1])] += 1
        elif like_picture(parts[-1]):
            made.problems.append(Problem(name, "in no class folder", UNLABELLED))
    for folder, count in strays.items():
        reason = f"beside the training folder, but no validation or test folder by its name; files in it: {count:,}"
        made.problems.append(Problem(f"{prefix}{shown(folder)}/", reason, UNLABELLED))
    return made


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
