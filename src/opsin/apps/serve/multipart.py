"""Bodies of forms: multipart/form-data (RFC 7578), parsed strictly and without copies of more than each part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opsin.apps.serve.limits import Refusal

MAX_BOUNDARY = 70
"""Characters of a boundary, by RFC 2046."""

MAX_PART_HEAD = 4096
"""Bytes of the headers of a part."""

MAX_PARTS = 256

BOUNDARY = re.compile(r"""boundary=(?:"([^"\x00-\x1f]+)"|([^\s;"]+))""", re.IGNORECASE)
PARAMETER = re.compile(r';\s*(name|filename)="((?:[^"\\\r\n]|\\.){0,1000})"', re.IGNORECASE)

BROKEN = "the form is broken"


@dataclass(frozen=True)
class Part:
    """A field of a form; `filename` is None unless it is a file. Names are text for answers, never paths."""

    name: str
    filename: str | None
    content: bytes


def parse_form(body: bytes, content_type: str) -> list[Part]:
    """Return the fields of a form. Raise `Refusal` (400) if it is not one."""
    match = BOUNDARY.search(content_type)
    boundary = (match[1] or match[2]) if match else ""
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise _broken(f"its content type names no boundary of 1 to {MAX_BOUNDARY} characters")
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    parts = [_part(head, content) for head, content in _split(body, delimiter)]
    if not parts:
        raise _broken("it has no fields")
    return parts


def _split(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers and the content of each part."""
    start = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if not body.startswith(delimiter, start):
        raise _broken("its boundary does not occur in it")
    position = start + len(delimiter)
    for _ in range(MAX_PARTS):
        if body.startswith(b"--", position):
            return
        if not body.startswith(b"\r\n", position):
            raise _broken("there is something else after a boundary")
        end = body.find(b"\r\n" + delimiter, position)
        blank = body.find(b"\r\n\r\n", position, position + MAX_PART_HEAD)
        if end < 0:
            raise _broken("it ends before its last boundary")
        if blank < 0 or blank > end:
            raise _broken("a field has no headers")
        yield body[position + 2 : blank], body[blank + 4 : end]
        position = end + 2 + len(delimiter)
    raise _broken(f"it has more than {MAX_PARTS} fields")


def _part(head: bytes, content: bytes) -> Part:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition" and value.strip().lower().startswith("form-data"):
            parameters = {match[1].lower(): match[2].replace('\\"', '"') for match in PARAMETER.finditer(value)}
            return Part(parameters.get("name", ""), parameters.get("filename"), content)
    raise _broken("a field has no name")


def _broken(reason: str) -> Refusal:
    return Refusal(400, f"{BROKEN}: {reason}; send multipart/form-data, or the bytes of one image as the body")
