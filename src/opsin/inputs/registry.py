"""The kinds of input by name. A new kind adds a line here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from opsin.base.concurrency import importing
from opsin.base.errors import DataError, UsageError
from opsin.base.path_words import SIGNAL_ENDINGS, SOUND_ENDINGS, TEXT_ENDINGS, VIDEO_ENDINGS

IMAGE, SOUND, TEXT, SIGNAL, VIDEO, SEVERAL = "image", "sound", "text", "signal", "video", "several"

NUMBER, FILE_KINDS = "number", (IMAGE, SOUND, SIGNAL)
"""What a column of a table may hold besides: numbers; and the kinds of which its cells are paths."""

KINDS = {SOUND: "Sound", TEXT: "Text", SIGNAL: "Signal", VIDEO: "Clips", SEVERAL: "Several"}
"""The class of each kind in the package of its name. It is imported on first use, so that starting stays cheap."""

PACKAGES = {SEVERAL: "opsin.data.several"}
"""The packages of kinds that lie elsewhere: rows of a table may hold images, whose decoders are in `data`."""

ENDINGS = {SOUND: SOUND_ENDINGS, TEXT: TEXT_ENDINGS, SIGNAL: SIGNAL_ENDINGS, VIDEO: VIDEO_ENDINGS}
"""The extensions of the files of each kind."""

NOUNS = {
    IMAGE: ("image", "images"), SOUND: ("recording", "recordings"), TEXT: ("text", "texts"),
    SIGNAL: ("signal", "signals"), VIDEO: ("clip", "clips"), SEVERAL: ("row", "rows"),
}  # fmt: skip
"""What a sample of each kind is called, and several."""


def find_kind(name: str) -> type[Any]:
    """Return the class of the kind called `name`. Raise `UsageError` if there is none."""
    if name not in KINDS:
        raise UsageError(f"there is no kind of input '{name}'; there are {', '.join((IMAGE, *KINDS))}")
    with importing.lock:
        kind: type[Any] = getattr(import_module(PACKAGES.get(name, f"opsin.inputs.{name}")), KINDS[name])
    return kind


def kind_of_names(names: Sequence[str]) -> str:
    """Return the kind of most of the files with these names: `IMAGE`, unless more than half of them are of another."""
    counts = Counter(kind for name in names for kind, endings in ENDINGS.items() if name.lower().endswith(endings))
    kind, count = next(iter(counts.most_common(1)), (IMAGE, 0))
    return kind if 2 * count > len(names) and kind in KINDS else IMAGE


def described_input(data: Mapping[str, Any]) -> Any:
    """Return the kind that `InputKind.to_data` described. Raise `DataError` for anything else."""
    name = str(data["kind"])
    if name not in KINDS:
        raise DataError(f"its input is of the kind '{name}', which this version of Opsin does not know; update it")
    return find_kind(name).from_data(data)
