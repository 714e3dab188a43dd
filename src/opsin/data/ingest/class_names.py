"""Class names that look the same: Cat and cat, composed and decomposed letters, "cat " and "cat"."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

MAX_GROUPS = 5
"""Groups of similar names listed in a receipt."""


def similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of different names that probably mean the same class, each in order."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        groups[_canonical(name)].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _canonical(name: str) -> str:
    """Return a name without differences in case, width, encoding of accents, invisible characters, zeros and spaces.

    Case and compatibility follow the rules of Unicode for comparing identifiers (UAX 31, R5; UAX 15).
    """
    folded_name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible_letters = "".join(letter for letter in folded_name if unicodedata.category(letter) != "Cf")
    words = re.sub(r"[\s_\-.]+", " ", visible_letters).strip()
    return re.sub(r"(?<!\d)0+(?=\d)", "", words) or name


def notes(names: Iterable[str]) -> list[str]:
    """Return a sentence for the receipt if names look the same, otherwise an empty list."""
    groups = similar_names(names)
    if not groups:
        return []
    remainder = f", and {len(groups) - MAX_GROUPS:,} more" if len(groups) > MAX_GROUPS else ""
    names = "; ".join(map(_distinguish, groups[:MAX_GROUPS]))
    return [f"Different classes with similar names: {names}{remainder}. Give them the same name if they are one class."]


def _distinguish(group: tuple[str, ...]) -> str:
    """Return the names in quotes, with code points if they look the same on a screen."""
    normalized = [unicodedata.normalize("NFC", name) for name in group]
    invisible = any(unicodedata.category(letter) in ("Cf", "Zs") and letter != " " for name in group for letter in name)
    if len(set(normalized)) < len(group) or invisible:
        return ", ".join(f"'{name}' ({_code_points(name)})" for name in group)
    return ", ".join(f"'{name}'" for name in group)


def _code_points(name: str) -> str:
    """Return the code points of a name that are not ASCII, such as U+00E9."""
    codes = [f"U+{ord(letter):04X}" for letter in name if not letter.isascii()]
    return " ".join(codes[:4]) + (" …" if len(codes) > 4 else "") if codes else "ASCII"
