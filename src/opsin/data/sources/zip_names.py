"""Names of a zip's members in letters: Unicode where the zip says so, and what it probably is where it does not.

APPNOTE, appendix D: without flag 11 a name is cp437. Yet many programs write UTF-8 without the flag, and Windows its
own code page, in Japan Shift-JIS (cp932), whose second bytes may be backslashes that separate nothing.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence

UNICODE = 0x800
"""The flag of a member whose name is UTF-8."""

UNICODE_PATH = 0x7075
"""Info-ZIP's extra field with the name in UTF-8 (APPNOTE 4.6.9)."""

PAGES = {
    "cp932": ("Shift-JIS", r"\u3005\u4e00-\u9fff\u3041-\u30ff", r"\u3000-\u3002\uff01-\uff5e"),
    "cp866": ("cp866", r"\u0401\u0410-\u044f\u0451", ""),
    "gb2312": ("GB 2312", r"\u4e00-\u9fff", r"\u3000-\u3002\uff01-\uff5e"),
}
"""Code pages of Windows in Japan, Russia and China: the name, the letters, and what else may be between them."""


def member_names(infos: Sequence[zipfile.ZipInfo]) -> tuple[list[str], str]:
    """A name for each member as it was meant, backslashes untouched; and a sentence, where that had to be guessed."""
    names = [info.orig_filename.split("\0")[0] for info in infos]
    unsure: dict[int, bytes] = {}
    for number, (info, name) in enumerate(zip(infos, names, strict=True)):
        if info.flag_bits & UNICODE or name.isascii():
            continue
        raw = _raw(name)
        if unicode := _extra(info.extra, raw):
            names[number] = unicode
        elif raw:
            unsure[number] = raw
    found = {number: _decoded(raw, "utf-8") for number, raw in unsure.items()}
    said = ""
    if not all(found.values()):
        for page, (words, letters, signs) in PAGES.items():
            decoded = {number: _decoded(raw, page) for number, raw in unsure.items()}
            if _makes_sense(list(decoded.values()), letters, signs):
                found = decoded
                said = f"The zip does not say how its names are encoded; they are read as {words}."
                break
    for number, name in found.items():
        names[number] = name or names[number]
    return names, said


def _raw(name: str) -> bytes:
    """The bytes that `zipfile` has read as cp437."""
    try:
        return name.encode("cp437")
    except UnicodeEncodeError:
        return b""


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _extra(extra: bytes, raw: bytes) -> str:
    """The name in the extra field that is meant for it, if it is still that of the name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and len(body) > 5 and body[0] == 1:
            (check,) = struct.unpack_from("<I", body, 1)
            return _decoded(body[5:], "utf-8") if check == zlib.crc32(raw) else ""
    return ""


def _makes_sense(names: Sequence[str], letters: str, signs: str) -> bool:
    """Whether all of these consist of these letters, of signs and of ASCII.

    Letters next to Latin ones must be few: a wrong code page makes such of most European words.
    """
    if not all(name and re.fullmatch(rf"[\x00-\x7f{letters}{signs}]*", name) for name in names):
        return False
    text = "\n".join(dict.fromkeys(part for name in names for part in re.split(r"[/\\]", name) if not part.isascii()))
    mixed = re.findall(rf"(?<=[A-Za-z])[{letters}]|[{letters}](?=[A-Za-z])", text)
    return len(re.findall(f"[{letters}]", text)) > 2 * len(mixed)
