"""Normalize the paths in an archive, and record which members are ignored or rejected."""

from __future__ import annotations

from opsin.data.items import SPECIAL, FileProblem, printable
from opsin.data.sources.ignored_files import IgnoredFiles
from opsin.data.sources.names import normalized


class MemberPaths:
    """Collects the names of the members in order. `label` is the name of the archive in messages."""

    def __init__(self, label: str) -> None:
        self.problems: list[FileProblem] = []
        self._label = label
        self._ignored = IgnoredFiles()
        self._files: set[str] = set()
        self._folders: dict[str, None] = {}
        self._repeated = 0

    @property
    def folders(self) -> list[str]:
        """Folders that the archive lists, or that contain ignored files."""
        return [*self._folders, *(folder for folder in sorted(self._ignored.folders) if folder)]

    def take(self, name: str, is_folder: bool = False) -> str | None:
        """Return the path of a file; None for a folder, an ignored file or an unsafe path."""
        path = normalized(name)
        if path is None:
            if not is_folder:
                reason = "its path leads out of the archive"
                self.problems.append(FileProblem(f"{self._label}/{printable(name)}", reason, SPECIAL))
            return None
        if path == "." or self._ignored.holds(path):
            return None
        if is_folder:
            self._folders[path] = None
            return None
        self._repeated += path in self._files
        self._files.add(path)
        return path

    def notes(self) -> list[str]:
        """Return sentences for the receipt."""
        repetition_note = f"{self._repeated:,} × a path that the archive holds several times; the last file counts."
        return [note for note in (self._ignored.note(), repetition_note if self._repeated else "") if note]
