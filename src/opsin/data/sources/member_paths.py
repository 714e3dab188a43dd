"""The paths in an archive: brought into one form, and what is passed over or refused on the way."""

from __future__ import annotations

from opsin.data.items import SPECIAL, FileProblem, printable
from opsin.data.sources.ignored_files import IgnoredFiles
from opsin.data.sources.names import cleaned


class MemberPaths:
    """Takes the members' names in turn. `label` is what the archive is called in problems."""

    def __init__(self, label: str) -> None:
        self.problems: list[FileProblem] = []
        self._label = label
        self._litter = IgnoredFiles()
        self._files: set[str] = set()
        self._folders: dict[str, None] = {}
        self._twice = 0

    @property
    def folders(self) -> list[str]:
        """Those that the archive lists, or that hold something which is passed over."""
        return [*self._folders, *(folder for folder in sorted(self._litter.folders) if folder)]

    def take(self, written: str, is_folder: bool = False) -> str | None:
        """The path of a file; None for what is no file, or not to be read."""
        path = cleaned(written)
        if path is None:
            if not is_folder:
                reason = "its path leads out of the archive"
                self.problems.append(FileProblem(f"{self._label}/{printable(written)}", reason, SPECIAL))
            return None
        if path == "." or self._litter.holds(path):
            return None
        if is_folder:
            self._folders[path] = None
            return None
        self._twice += path in self._files
        self._files.add(path)
        return path

    def notes(self) -> list[str]:
        """Sentences for the receipt."""
        twice = f"{self._twice:,} × a path that the archive holds several times; its last file counts, as in unpacking."
        return [note for note in (self._litter.note(), twice if self._twice else "") if note]
