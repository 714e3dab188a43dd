"""Count the files that are ignored in folders and archives, for a note in the receipt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from opsin.data.items import printable
from opsin.data.sources.names import is_ignored

MAX_NAMES = 16
"""Different names listed in the note."""


@dataclass
class IgnoredFiles:
    """Hidden files and those left by other programs. An ignored folder counts as one, with everything in it."""

    _counted: set[str] = field(default_factory=set)
    _clean_folders: set[str] = field(default_factory=set)
    _counts: Counter[str] = field(default_factory=Counter)
    folders: set[str] = field(default_factory=set)
    """The folders that contain ignored files."""

    def holds(self, path: str) -> bool:
        """Return whether a path, separated by "/", is ignored, and count it."""
        folder, _, name = path.rpartition("/")
        if folder in self._clean_folders and not is_ignored(name):
            return False
        components = path.split("/")
        level = next((number for number, component in enumerate(components) if is_ignored(component)), None)
        if level is None:
            self._clean_folders.add(folder)
            return False
        self.add("/".join(components[:level]), components[level])
        return True

    def add(self, folder: str, name: str) -> None:
        """Count an ignored file or folder."""
        self.folders.add(folder)
        key = f"{folder}/{name}"
        if key not in self._counted:
            self._counted.add(key)
            self._counts["._*" if name.startswith("._") else name] += 1

    def note(self) -> str:
        """Return a sentence for the receipt; "" if nothing was ignored."""
        names = [
            f"{count:,} × {printable(name)}" if count > 1 else printable(name) for name, count in self._most_frequent()
        ]
        ellipsis = ", …" if len(self._counts) > MAX_NAMES else ""
        return (
            f"Ignored, because they are hidden or left by other programs: {', '.join(names)}{ellipsis}."
            if names
            else ""
        )

    def _most_frequent(self) -> list[tuple[str, int]]:
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_NAMES]
