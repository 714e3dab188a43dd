"""Decode the names of the members of a zip: as Unicode if the zip says so, and otherwise by the probable encoding.

According to APPNOTE, appendix D, names without flag 11 are cp437. But many programs write UTF-8 without the flag, and
Windows writes the local code page. In Japan this is Shift-JIS (cp932); the second byte of a character may be a
backslash that is no separator.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence

UNICODE = 0x800
"""The flag that declares a name as UTF-8."""

UNICODE_PATH = 0x7075
"""Info-ZIP's extra field with the name in UTF-8 (APPNOTE 4.6.9)."""

PAGES = {
    "cp932": ("Shift-JIS", r"\u3005\u4e00-\u9fff\u3041-\u30ff", r"\u3000-\u3002\uff01-\uff5e"),
    "cp866": ("cp866", r"\u0401\u0410-\u044f\u0451", ""),
    "gb2312": ("GB 2312", r"\u4e00-\u9fff", r"\u3000-\u3002\uff01-\uff5e"),
}
"""Code pages of Windows in Japan, Russia and China: the name, the letters, and other characters."""


def member_names(infos: Sequence[zipfile.ZipInfo]) -> tuple[list[str], str]:
    """Return the decoded name of each member, with backslashes, and a sentence if the encoding was guessed."""
    names = [info.orig_filename.split("\0")[0] for info in infos]
    undeclared: dict[int, bytes] = {}
    for number, (info, name) in enumerate(zip(infos, names, strict=True)):
        if info.flag_bits & UNICODE or name.isascii():
            continue
        raw = _raw_bytes(name)
        if unicode := _extra(info.extra, raw):
            names[number] = unicode
        elif raw:
            undeclared[number] = raw
    guesses = {number: _decode(raw, "utf-8") for number, raw in undeclared.items()}
    note = ""
    if not all(guesses.values()):
        for page, (words, letters, signs) in PAGES.items():
            guesses_of_page = {number: _decode(raw, page) for number, raw in undeclared.items()}
            if _makes_sense(list(guesses_of_page.values()), letters, signs):
                guesses = guesses_of_page
                note = f"The zip does not say how its names are encoded; they are read as {words}."
                break
    for number, name in guesses.items():
        names[number] = name or names[number]
    return names, note


def _raw_bytes(name: str) -> bytes:
    """Return the bytes that `zipfile` has decoded as cp437."""
    try:
        return name.encode("cp437")
    except UnicodeEncodeError:
        return b""


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _extra(extra: bytes, raw: bytes) -> str:
    """Return the name in the extra field for it, unless the member has been renamed since."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and len(body) > 5 and body[0] == 1:
            (check,) = struct.unpack_from("<I", body, 1)
            return _decode(body[5:], "utf-8") if check == zlib.crc32(raw) else ""
    return ""


def _makes_sense(names: Sequence[str], letters: str, signs: str) -> bool:
    """Return whether all names consist of these letters, signs and ASCII.

    Few letters may be next to Latin ones: a wrong code page has this effect on most European words.
    """
    if not all(name and re.fullmatch(rf"[\x00-\x7f{letters}{signs}]*", name) for name in names):
        return False
    text = "\n".join(dict.fromkeys(part for name in names for part in re.split(r"[/\\]", name) if not part.isascii()))
    mixed = re.findall(rf"(?<=[A-Za-z])[{letters}]|[{letters}](?=[A-Za-z])", text)
    return len(re.findall(f"[{letters}]", text)) > 2 * len(mixed)
