"""What is passed over in folders and archives, counted so that it can be mentioned once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from opsin.data.items import printable
from opsin.data.sources.names import is_ignored

MAX_NAMES = 16
"""So many kinds of litter are named."""


@dataclass
class IgnoredFiles:
    """Hidden files and what other programs leave; a folder counts once, with all that is in it."""

    _seen: set[str] = field(default_factory=set)
    _sound: set[str] = field(default_factory=set)
    _counts: Counter[str] = field(default_factory=Counter)
    folders: set[str] = field(default_factory=set)
    """The folders in which litter was found."""

    def holds(self, path: str) -> bool:
        """Whether a path, by "/", leads into litter, which is then counted."""
        folder, _, name = path.rpartition("/")
        if folder in self._sound and not is_ignored(name):
            return False
        parts = path.split("/")
        at = next((number for number, part in enumerate(parts) if is_ignored(part)), None)
        if at is None:
            self._sound.add(folder)
            return False
        self.add("/".join(parts[:at]), parts[at])
        return True

    def add(self, folder: str, name: str) -> None:
        """Counts a file or folder of this name."""
        self.folders.add(folder)
        key = f"{folder}/{name}"
        if key not in self._seen:
            self._seen.add(key)
            self._counts["._*" if name.startswith("._") else name] += 1

    def note(self) -> str:
        """A sentence for the receipt; "" where there is nothing to mention."""
        kinds = [f"{count:,} × {printable(name)}" if count > 1 else printable(name) for name, count in self._most()]
        more = ", …" if len(self._counts) > MAX_NAMES else ""
        return f"Ignored, as hidden or left by other programs: {', '.join(kinds)}{more}." if kinds else ""

    def _most(self) -> list[tuple[str, int]]:
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_NAMES]
