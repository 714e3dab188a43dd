"""The answer for a recording: its words, with their times and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opsin.base.formatting import percent

NOTHING = "nothing"


@dataclass(frozen=True)
class Word:
    """A word, or a character, from `begin` to `end`; its `confidence` is its largest probability in a frame.

    Times are in seconds from the beginning of the recording, or shares of it if `in_seconds` is false.
    """

    text: str
    begin: float
    end: float
    confidence: float
    in_seconds: bool = True

    def __str__(self) -> str:
        if self.in_seconds:
            return f"{self.text} {self.begin:.2f}–{self.end:.2f} s ({percent(self.confidence)})"
        return f"{self.text} {percent(self.begin)}–{percent(self.end)} ({percent(self.confidence)})"


@dataclass(frozen=True)
class Transcript:
    """The text of a recording and its `probability`; None if it is the truth. True words have no times.

    The probability is that of the whole sequence, given the network's outputs.
    """

    text: str
    words: tuple[Word, ...] = ()
    probability: float | None = None

    def summary(self) -> str:
        """Return the text."""
        return self.text or NOTHING

    def to_data(self) -> dict[str, Any]:
        """Return the answer for JSON; times are in seconds, or shares of the recording."""
        times = ("begin", "end") if all(word.in_seconds for word in self.words) else ("begin_share", "end_share")
        words = [
            {"text": word.text, times[0]: word.begin, times[1]: word.end, "confidence": word.confidence}
            for word in self.words
        ]
        return {"text": self.text, "probability": self.probability, "words": words}

    def __str__(self) -> str:
        if self.probability is None or not self.text:
            return self.summary()
        return f"{self.text} ({percent(self.probability)}): {', '.join(map(str, self.words))}"
