"""Bytes as text in a page: byte planes, DEFLATE and base 85."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

WORD = 4


@dataclass(frozen=True)
class Packed:
    """`text` is base 85 of `deflated` bytes. With `planes`, all first bytes of the words come first, then all second
    ones, and so on: the exponents of weights are much alike, and the rest of them is noise."""

    text: str
    deflated: int
    planes: bool

    @property
    def digest(self) -> str:
        """The SHA-256 digest of the text in hexadecimal."""
        return hashlib.sha256(self.text.encode("ascii")).hexdigest()


def pack(data: bytes, planes: bool = False) -> Packed:
    """Compress bytes; with `planes`, their number becomes a multiple of four by zeros at the end."""
    if planes:
        padded = data + bytes(-len(data) % WORD)
        data = np.frombuffer(padded, np.uint8).reshape(-1, WORD).T.tobytes()
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = compressor.compress(data) + compressor.flush()
    encoded = base64.b85encode(deflated + bytes(-len(deflated) % WORD)).decode("ascii")
    return Packed(encoded.replace("<", ","), len(deflated), planes)  # a page reads "<" as the start of an element
