"""What is known of each image file, remembered by its name and stamp so that no file is opened twice."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.base.atomic import PRIVATE, atomic_file
from opsin.data.decode import Range, natural
from opsin.data.ingest.thumbnail_hash import LOOK
from opsin.data.items import DAMAGED, EMPTY, NO_IMAGE, TOO_LARGE, FileProblem, Source
from opsin.data.store import DIGEST, root

UNKNOWN, READ, SEEN, FAILED = range(4)
"""How much is known: nothing; digest and header; all; that it cannot be used."""

DEPTHS = (
    "", "uint16", "int8", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
)  # fmt: skip
"""Types of numbers of more than eight bits; "": bytes."""

LASTING = (EMPTY, DAMAGED, NO_IMAGE, TOO_LARGE)
"""Kinds of problems that stay as long as the file does."""


@dataclass
class FileIndex:
    """Of each of N items: its `state`, the digest of its file, height and width as its header says, whether it is
    grey by its header, whether its decoded channels were equal (1, 0; -1: not known) and its look.

    `depths` are places in `DEPTHS`, `values` the least and the largest value of images of more than eight bits;
    `remarks` say what of a file is left out.
    """

    state: NDArray[np.int8]
    digests: NDArray[np.uint8]
    sizes: NDArray[np.int32]
    grey: NDArray[np.bool_]
    colourless: NDArray[np.int8]
    looks: NDArray[np.uint8]
    depths: NDArray[np.int8]
    values: NDArray[np.float64]
    problems: dict[int, FileProblem] = field(default_factory=dict)
    remarks: dict[int, str] = field(default_factory=dict)

    @classmethod
    def unknown(cls, count: int) -> FileIndex:
        return cls(
            np.zeros(count, np.int8), np.zeros((count, DIGEST), np.uint8), np.zeros((count, 2), np.int32),
            np.zeros(count, np.bool_), np.full(count, -1, np.int8), np.zeros((count, LOOK), np.uint8),
            np.zeros(count, np.int8), np.zeros((count, 2)),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.state)

    def fail(self, index: int, problem: FileProblem) -> None:
        self.problems[index] = problem
        self.state[index] = FAILED

    def note_values(self, index: int, depth: str, values: Range | None) -> None:
        """What an image's numbers are; `values` of those of more than eight bits."""
        self.depths[index] = DEPTHS.index(depth)
        if values:
            self.values[index] = values

    @property
    def deep(self) -> NDArray[np.intp]:
        """The numbers of the items of more than eight bits that can be used, as far as is known."""
        return np.flatnonzero((self.state != FAILED) & (self.depths > 0))

    def pixel_range(self) -> Range | None:
        """The range of all images of more than eight bits together; None where there is none."""
        deep = self.deep
        if not len(deep):
            return None
        whole = not any(DEPTHS[depth].startswith("float") for depth in np.unique(self.depths[deep]))
        return natural(float(self.values[deep, 0].min()), float(self.values[deep, 1].max()), whole)

    @property
    def good(self) -> NDArray[np.intp]:
        """The numbers of the items that can be used, as far as is known."""
        return np.flatnonzero(self.state != FAILED)


ARRAYS = ("state", "digests", "sizes", "grey", "colourless", "looks", "depths", "values")


def recall(path: Path, source: Source, stamps: list[str]) -> FileIndex:
    """What `remember` wrote of those items whose name and stamp are still the same."""
    names = [item.name for item in source.items]
    facts = FileIndex.unknown(len(names))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            kept = {name: stored[name] for name in ARRAYS}
            index = json.loads(stored["index"].tobytes())
        new, old = _pairs(names, stamps, index["names"], index["stamps"])
        for name in ARRAYS:
            getattr(facts, name)[new] = kept[name][old]
        problems = {int(row): FileProblem(*problem) for row, problem in index["problems"].items()}
        facts.problems = {int(n): problems[int(o)] for n, o in zip(new, old, strict=True) if facts.state[n] == FAILED}
        remarks = {int(row): str(remark) for row, remark in index["remarks"].items()}
        facts.remarks = {int(n): remarks[int(o)] for n, o in zip(new, old, strict=True) if int(o) in remarks}
    except Exception:  # a damaged file may raise anything; everything is then read anew
        return FileIndex.unknown(len(names))
    return facts


def _pairs(
    names: list[str], stamps: list[str], old_names: list[str], old_stamps: list[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The numbers of what is the same, in the new list and in the old one."""
    if names == old_names and stamps == old_stamps and all(stamps):
        return np.arange(len(names)), np.arange(len(names))
    rows = {pair: row for row, pair in enumerate(zip(old_names, old_stamps, strict=True)) if pair[1]}
    pairs = [(new, rows[pair]) for new, pair in enumerate(zip(names, stamps, strict=True)) if pair in rows]
    new, old = np.array(pairs, np.intp).reshape(-1, 2).T
    return new, old


def remember(path: Path, facts: FileIndex, source: Source, stamps: list[str]) -> None:
    """Writes what is known, aside and renamed; a disk that refuses only makes the next run slower."""
    state = facts.state.copy()
    lasting = {index: problem for index, problem in facts.problems.items() if problem.kind in LASTING}
    state[[index for index in facts.problems if index not in lasting]] = UNKNOWN
    index = {
        "names": [item.name for item in source.items],
        "stamps": stamps,
        "remarks": facts.remarks,
        "problems": {index: (problem.name, problem.reason, problem.kind) for index, problem in lasting.items()},
    }
    arrays = {name: getattr(facts, name) for name in ARRAYS} | {"state": state}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, durable=False, mode=PRIVATE) as file:
            np.savez(file, index=np.frombuffer(json.dumps(index).encode(), np.uint8), **arrays)


def place(key: str) -> Path:
    """Where the facts of the source with this key are."""
    return root() / "facts" / f"{key}.npz"
