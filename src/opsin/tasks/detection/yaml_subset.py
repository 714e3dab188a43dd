"""Read the part of YAML that data.yaml files of YOLO use: keys with scalars, lists and mappings of scalars.

Both styles of collections are understood: indented lines, and brackets on one or several lines. Tags, anchors,
aliases and deeper nesting are not; a line that does not fit is skipped, so nothing is ever constructed or expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Value = str | list[str] | dict[str, str]

KEY = re.compile(r"""(?P<key>"[^"]*"|'[^']*'|[^\s:#'"\[\]{},][^:#]*?)\s*:(\s+(?P<rest>.*))?$""")
TOKEN = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[\[\]{},]|:(?=[\s"'])|(?:[^,\[\]{}:]|:(?!\s))+)""")
MAX_BRACKET_LINES = 20_000


def read_yaml(text: str) -> dict[str, Value]:
    """Return the values of the keys that are not indented. Never fails."""
    lines = [line.rstrip() for line in map(_without_comment, text.splitlines())]
    values: dict[str, Value] = {}
    place = 0
    while place < len(lines):
        match = KEY.match(lines[place])
        place += 1
        if match and not lines[place - 1][:1].isspace():
            rest = match["rest"] or ""
            block, place = _block(lines, place, rest.strip())
            values[scalar(match["key"])] = block
    return values


def _block(lines: list[str], place: int, rest: str) -> tuple[Value, int]:
    """Return the value that begins with `rest` after a key, and the place of the next line."""
    if rest[:1] in ("[", "{"):
        closing = "]" if rest[0] == "[" else "}"
        parts = [rest]
        while closing not in parts[-1] and place < len(lines) and len(parts) < MAX_BRACKET_LINES:
            parts.append(lines[place])
            place += 1
        return _flow(" ".join(parts)), place
    if rest:
        return scalar(rest), place
    items: list[str] = []
    entries: dict[str, str] = {}
    while place < len(lines) and (not lines[place].strip() or lines[place][0] in " \t-"):
        line = lines[place].strip()
        place += 1
        if line.startswith("-"):
            items.append(scalar(line[1:]))
        elif match := KEY.match(line):
            entries[scalar(match["key"])] = scalar(match["rest"] or "")
    return items or entries or "", place


def _flow(text: str) -> list[str] | dict[str, str]:
    """Return a list or a mapping in brackets."""
    tokens = list(_tokens(text[1:]))
    if text[0] == "[":
        return [scalar(token) for token in tokens if token not in (",", ":", "[", "]", "{", "}")]
    keys = [place for place, token in enumerate(tokens) if token == ":"]
    return {scalar(tokens[k - 1]): scalar(tokens[k + 1]) for k in keys if 0 < k < len(tokens) - 1}


def _tokens(text: str) -> Iterator[str]:
    for match in TOKEN.finditer(text):
        token = match[1].strip()
        if token in ("]", "}"):
            return
        if token:
            yield token


def _without_comment(line: str) -> str:
    """Return a line without the comment at its end; "#" inside quotes is none."""
    quote = ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and (place == 0 or line[place - 1] in " [{,:-\t'"):
            quote = character
        elif character == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place]
    return line


def scalar(text: str) -> str:
    """Return a scalar without quotes."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
