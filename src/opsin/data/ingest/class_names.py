"""Names of classes that are hardly to be told apart: Cat and cat, composed and decomposed letters, "cat " and "cat"."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

MAX_GROUPS = 5
"""So many groups of names are named."""


def similar(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The groups of different names that mean the same for all that is known, each in order."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        groups[_meant(name)].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _meant(name: str) -> str:
    """The name without case, width, accents' encoding, invisible letters, leading zeros, and with one kind of space.

    Compatibility and case as Unicode defines identifiers to be compared (UAX 31, R5; UAX 15).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(letter for letter in folded if unicodedata.category(letter) != "Cf")
    words = re.sub(r"[\s_\-.]+", " ", seen).strip()
    return re.sub(r"(?<!\d)0+(?=\d)", "", words) or name


def notes(names: Iterable[str]) -> list[str]:
    """A sentence for the receipt, where names look alike."""
    groups = similar(names)
    if not groups:
        return []
    more = f", and {len(groups) - MAX_GROUPS:,} more" if len(groups) > MAX_GROUPS else ""
    what = "; ".join(map(_told_apart, groups[:MAX_GROUPS]))
    return [f"Classes whose names look alike, kept apart: {what}{more}. Name them alike if they are one class."]


def _told_apart(group: tuple[str, ...]) -> str:
    """The names in quotes; what looks the same on a screen, with the letters' numbers."""
    drawn = [unicodedata.normalize("NFC", name) for name in group]
    invisible = any(unicodedata.category(letter) in ("Cf", "Zs") and letter != " " for name in group for letter in name)
    if len(set(drawn)) < len(group) or invisible:
        return ", ".join(f"'{name}' ({_coded(name)})" for name in group)
    return ", ".join(f"'{name}'" for name in group)


def _coded(name: str) -> str:
    """What is not ASCII in a name: U+00E9, or e and U+0301."""
    codes = [f"U+{ord(letter):04X}" for letter in name if not letter.isascii()]
    return " ".join(codes[:4]) + (" …" if len(codes) > 4 else "") if codes else "ASCII"
