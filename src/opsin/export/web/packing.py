"""Bytes as text in a page: byte planes, DEFLATE and base 85."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

WORD, DIGITS = 4, 5
"""Bytes, and the characters that stand for them."""

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~"
"""The digits of base 85 as in RFC 1924, but for "<", which a page reads as the start of an element."""


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
    # Planes repeat nothing but zeros, and searching noise for repetitions takes ten times as long.
    strategy = zlib.Z_RLE if planes else zlib.Z_DEFAULT_STRATEGY
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, strategy)
    deflated = compressor.compress(data) + compressor.flush()
    return Packed(_base85(deflated + bytes(-len(deflated) % WORD)), len(deflated), planes)


def _base85(data: bytes) -> str:
    """Return five characters for each four bytes, the most significant ones first."""
    numbers, digits = np.frombuffer(data, ">u4").astype(np.uint32), []
    for _ in range(DIGITS):
        numbers, digit = np.divmod(numbers, np.uint32(len(ALPHABET)))
        digits.append(digit)
    characters: bytes = np.frombuffer(ALPHABET, np.uint8)[np.stack(digits[::-1], 1)].tobytes()
    return characters.decode("ascii")
