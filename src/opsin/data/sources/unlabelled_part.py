"""Images without labels in a folder next to those of classes, on disk or in an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opsin.data.items import FileProblem
from opsin.data.sources.archive import Members
from opsin.data.sources.file_tree import FileTree, FolderTree, MemberTree
from opsin.data.sources.folder import FolderWalk

UNLABELLED_FOLDERS = ("unlabelled", "unlabeled")
"""The names of such folders."""


@dataclass(frozen=True)
class MembersPart:
    """Some of the `archive.Members` of an archive: the files at `positions` among the `whole`."""

    whole: Members
    positions: Sequence[int]
    problems: Sequence[FileProblem] = ()
    folders: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def path(self) -> Path:
        return self.whole.path

    @property
    def paths(self) -> Sequence[str]:
        return [self.whole.paths[position] for position in self.positions]

    def read(self, position: int, name: str) -> bytes:
        return self.whole.read(self.positions[position], name)

    def stamp(self, position: int) -> str:
        return self.whole.stamp(self.positions[position])


def divide_walk(walk: FolderWalk) -> FileTree | None:
    """Take the files without labels out of a walk, and return them; None if there are none, or no others."""
    inside = _folder_without_labels(walk.files)
    if inside is None:
        return None
    paths = [path for path in walk.files if path.startswith(inside)]
    walk.leave_out(paths, _note(len(paths), inside))
    return FolderTree(inside.rstrip("/"), walk.folder, paths, (), ())


def divide_members(members: Members) -> tuple[Members, FileTree | None]:
    """Return the files of an archive with labels, and those without; None if there are none, or no others."""
    inside = _folder_without_labels(members.paths)
    if inside is None:
        return members, None
    positions = [number for number, path in enumerate(members.paths) if path.startswith(inside)]
    others = [number for number, path in enumerate(members.paths) if not path.startswith(inside)]
    folders = [folder for folder in members.folders if not f"{folder}/".startswith(inside)]
    notes = [*members.notes, _note(len(positions), inside)]
    labelled = MembersPart(members, others, members.problems, folders, notes)
    return labelled, MemberTree(inside.rstrip("/"), MembersPart(members, positions))


def _folder_without_labels(paths: Sequence[str]) -> str | None:
    """Return the folder, with "/" at its end, of images without labels; a folder around everything is skipped."""
    tops = {path.partition("/")[0] for path in paths}
    root = "" if len(tops) != 1 or not tops.isdisjoint(UNLABELLED_FOLDERS) else f"{tops.pop()}/"
    for name in UNLABELLED_FOLDERS:
        count = sum(path.startswith(f"{root}{name}/") for path in paths)
        if 0 < count < len(paths):
            return f"{root}{name}/"
    return None


def _note(count: int, folder: str) -> str:
    return f"The {count:,} files in {folder} have no labels."
