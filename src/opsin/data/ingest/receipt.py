"""The receipt of a data set: what was found when it was read, as text and as data for programs."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.data.ingest import messages
from opsin.data.ingest.findings import Findings


@dataclass(frozen=True)
class Receipt(Findings):
    """The findings in a data set, with their text."""

    def text(self, full: bool = False) -> str:
        """Return the receipt as text that fits on a screen, or with `full` all of it, with the name of every file."""
        return messages.text(self, full)
