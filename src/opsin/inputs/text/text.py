"""`Text`: the kind of input that consists of words or bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.inputs.kind import Augmentation, FileKind, Files, Shape, Unchanged, file_content
from opsin.inputs.occlusion import hidden_stretches
from opsin.inputs.options import checked_options, one_of, whole_in
from opsin.inputs.registry import ENDINGS, NOUNS, TEXT
from opsin.inputs.text.augment import MaskedWords
from opsin.inputs.text.render import render_text, text_html
from opsin.inputs.text.tokens import (
    BYTES,
    FIRST,
    LARGEST_VOCABULARY,
    MAX_VOCABULARY,
    PADDING,
    UNITS,
    UNKNOWN,
    WORDS,
    split,
    vocabulary,
)
from opsin.nn import Embedding, Layer
from opsin.tasks.task import Defaults
from opsin.tasks.text import decode

MAX_BYTES = 2**24
"""A text file of more bytes is refused."""

MAX_WORDS, MAX_LENGTH_OF_BYTES = 400, 1014
"""The largest length of texts, in words and in bytes (that of Zhang, Zhao & LeCun 2015)."""

MIN_LENGTH = 8

MAX_PARTS = 64
"""Parts of a text that are hidden in turn to see which words decide."""

OPTIONS = {
    "unit": one_of(*UNITS), "length": whole_in(MIN_LENGTH, 100_000, "tokens"),
    "vocabulary": whole_in(1, LARGEST_VOCABULARY, "words"),
}  # fmt: skip

LENGTH_SHARE = 0.99
"""The share of the training texts that are not cut."""

MAX_WORD_CHARACTERS = 12.0
"""In texts with longer words on average, spaces do not separate words: they are read as bytes."""


@dataclass(frozen=True)
class Text(FileKind):
    """Texts of `length` tokens: int32 1 × 1 × length, numbers of the tokens in `words`, with 0 after the end.

    `unit` is "words" or "bytes". Longer texts are cut at the end. Tokens that are not in the vocabulary have a number
    of their own.
    """

    words: tuple[str, ...]
    length: int
    unit: str = WORDS

    kind: ClassVar[str] = TEXT
    nouns: ClassVar[tuple[str, str]] = NOUNS[TEXT]
    endings: ClassVar[tuple[str, ...]] = ENDINGS[TEXT]
    dtype: ClassVar[Any] = np.int32

    @property
    def shape(self) -> Shape:
        return 1, 1, self.length

    @property
    def tokens(self) -> int:
        """The number of different numbers in samples."""
        return FIRST + len(self.words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=FIRST)}

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Return the kind with the vocabulary and the usual length of the texts in these files.

        The options are the "unit" (words or bytes), the "length" in them, and the largest "vocabulary".
        """
        options = checked_options(files.options, OPTIONS, cls.nouns[1])
        texts = files.readable(_text, cls.nouns[1])
        characters = sum(len("".join(text.split())) for text in texts)
        parts = [split(text, WORDS) for text in texts]
        count = sum(map(len, parts))
        unit = options.get("unit") or (WORDS if characters <= MAX_WORD_CHARACTERS * count else BYTES)
        if unit == BYTES:
            parts = [split(text, BYTES) for text in texts]
        lengths = sorted(filter(None, map(len, parts)))
        if not lengths:
            raise DataError("none of the texts holds a word")
        usual = lengths[min(len(lengths) - 1, int(LENGTH_SHARE * len(lengths)))]
        limit = MAX_WORDS if unit == WORDS else MAX_LENGTH_OF_BYTES
        length = options.get("length") or max(MIN_LENGTH, min(limit, usual))
        return cls(vocabulary(parts, unit, options.get("vocabulary", MAX_VOCABULARY)), length, unit)

    def describe(self) -> str:
        known = f", {len(self.words):,} different ones" if self.unit == WORDS else ""
        return f"{self.length:,} {self.unit} from the beginning of each{known}"

    def numbered(self, tokens: list[str]) -> NDArray[Any]:
        """Return the numbers of tokens, int32 1 × 1 × length."""
        sample = np.full(self.shape, PADDING, np.int32)
        numbers = [self._numbers.get(token, UNKNOWN) for token in tokens[: self.length]]
        sample[0, 0, : len(numbers)] = numbers
        return sample

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        """Return the numbers of a text's tokens, int32 1 × 1 × length, and a phrase if it could not be decoded fully.

        Raise `DataError` if it has no tokens.
        """
        text = _text(file_content(source, name, MAX_BYTES + 1), name)
        tokens = split(text, self.unit)
        if not tokens:
            raise DataError(f"{name}: it holds no words")
        return self.numbered(tokens), "it has characters that cannot be decoded" if "\ufffd" in text else ""

    def from_value(self, value: Any, name: str) -> NDArray[Any] | None:
        """Return the sample of a text, or of its bytes."""
        return self.numbered(split(value, self.unit)) if isinstance(value, str) else super().from_value(value, name)

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return the numbers of tokens as float32, which is exact below 2^24."""
        return samples.astype(np.float32)

    def front_end(self, input_shape: Shape) -> Layer:
        """Return the vectors of the tokens, as many numbers as the network has input channels."""
        return Embedding(self.tokens, input_shape[0], padding=PADDING)

    def augmentation(self, level: str) -> Augmentation:
        shares = {"light": 0.05, "strong": 0.15}
        return MaskedWords(shares[level]) if level in shares else Unchanged()

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        return (bits % np.uint64(self.tokens)).astype(np.int32).reshape(-1, *self.shape)

    def words_of(self, sample: NDArray[Any]) -> list[str]:
        """Return the tokens of a sample; "…" for those that are not in the vocabulary."""
        numbers = [number for number in sample.reshape(-1).tolist() if number != PADDING]
        return ["…" if number == UNKNOWN else self.words[number - FIRST] for number in numbers]

    def render(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        return render_text(self.words_of(sample), self.unit == WORDS)

    def occluded(self, sample: NDArray[Any]) -> NDArray[Any]:
        """Return copies with one word unknown each; in long texts and of bytes, several neighbours."""
        count = len(self.words_of(sample))
        copies = hidden_stretches(sample[..., :count], UNKNOWN, min(MAX_PARTS, count))
        rest = np.broadcast_to(sample[..., count:], (len(copies), *sample[..., count:].shape))
        return np.concatenate([copies, rest], axis=-1)

    def html(self, sample: NDArray[Any], importance: NDArray[np.float64] | None) -> str:
        return text_html(self.words_of(sample), self.unit == WORDS, importance)

    @classmethod
    def network(cls, count: int) -> str:
        return "kim_cnn"

    @classmethod
    def defaults(cls, network: str, count: int) -> Defaults:
        return Defaults(
            network=network, side=0, pretrained=False, fallback=network, batch=50, learning_rate=0.001,
            weight_decay=0.01, augment="light", ema=0.98, max_epochs=20, patience=4,
            reason="a small network for sentences",
        )  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        return {"kind": self.kind, "unit": self.unit, "length": self.length, "words": list(self.words)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""
        try:
            words, length, unit = tuple(map(str, data["words"])), int(data["length"]), str(data["unit"])
        except (KeyError, TypeError, ValueError):
            raise DataError("its texts are not described completely") from None
        if (
            unit not in UNITS
            or not 0 < length <= 2**20
            or len(words) > LARGEST_VOCABULARY
            or len({*words}) < len(words)
        ):
            raise DataError("the description of its texts makes no sense")
        return cls(words, length, unit)


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise DataError(f"{name}: it has more than {MAX_BYTES // 2**20} MiB, which is no short text")
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name}: it is no text, but holds null bytes")
    return decode(data)
