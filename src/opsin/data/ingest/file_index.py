"""Properties of every image file, cached by file name and stamp: unchanged files are not opened again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.base.atomic import PRIVATE, atomic_file
from opsin.data.decode import PixelRange, infer_range
from opsin.data.ingest.thumbnail_hash import HASH_BYTES
from opsin.data.items import DAMAGED, EMPTY, NOT_AN_IMAGE, TOO_LARGE, FileProblem, Source
from opsin.data.store import DIGEST_BYTES, store_folder

UNKNOWN, HEADER_READ, DECODED, FAILED = range(4)
"""States of an item: not read, digest and header known, everything known, unusable."""

DEPTHS = (
    "", "uint16", "int8", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
)  # fmt: skip
"""Pixel types with more than eight bits. The empty string means bytes."""

PERSISTENT_PROBLEMS = (EMPTY, DAMAGED, NOT_AN_IMAGE, TOO_LARGE)
"""Kinds of problems that remain as long as the file does not change."""


@dataclass
class FileIndex:
    """Arrays with one row for each of N items.

    `state` is one of the constants above, `digests` the digests of the files, `sizes` heights and widths according to
    the headers, and `grey_header` whether the header says that the image is grey. `grey_pixels` says whether the
    decoded channels are equal (1 or 0; -1 if unknown). `depths` are indices into `DEPTHS`; `values` are the smallest
    and the largest pixel value of images with more than eight bits. `remarks` say which content of a file is ignored.
    """

    state: NDArray[np.int8]
    digests: NDArray[np.uint8]
    sizes: NDArray[np.int32]
    grey_header: NDArray[np.bool_]
    grey_pixels: NDArray[np.int8]
    thumbnail_hashes: NDArray[np.uint8]
    depths: NDArray[np.int8]
    values: NDArray[np.float64]
    problems: dict[int, FileProblem] = field(default_factory=dict)
    remarks: dict[int, str] = field(default_factory=dict)

    @classmethod
    def unknown(cls, count: int) -> FileIndex:
        """Return the index of `count` items that have not been read."""
        return cls(
            np.zeros(count, np.int8), np.zeros((count, DIGEST_BYTES), np.uint8), np.zeros((count, 2), np.int32),
            np.zeros(count, np.bool_), np.full(count, -1, np.int8), np.zeros((count, HASH_BYTES), np.uint8),
            np.zeros(count, np.int8), np.zeros((count, 2)),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.state)

    def fail(self, index: int, problem: FileProblem) -> None:
        self.problems[index] = problem
        self.state[index] = FAILED

    def record_values(self, index: int, depth: str, values: PixelRange | None) -> None:
        """Record the pixel type of an image and, if it has more than eight bits, its smallest and largest value."""
        self.depths[index] = DEPTHS.index(depth)
        if values:
            self.values[index] = values

    @property
    def high_depth(self) -> NDArray[np.intp]:
        """The indices of usable images known to have more than eight bits."""
        return np.flatnonzero((self.state != FAILED) & (self.depths > 0))

    def pixel_range(self) -> PixelRange | None:
        """Return the common range of all images with more than eight bits, or None if there are none."""
        high_depth = self.high_depth
        if not len(high_depth):
            return None
        integers = not any(DEPTHS[depth].startswith("float") for depth in np.unique(self.depths[high_depth]))
        return infer_range(float(self.values[high_depth, 0].min()), float(self.values[high_depth, 1].max()), integers)

    @property
    def usable(self) -> NDArray[np.intp]:
        """The indices of the items without a known problem."""
        return np.flatnonzero(self.state != FAILED)


STORED_ARRAYS = {
    "state": "state", "digests": "digests", "sizes": "sizes", "grey_header": "grey", "grey_pixels": "colourless",
    "thumbnail_hashes": "looks", "depths": "depths", "values": "values",
}  # fmt: skip
"""Attributes of `FileIndex`, and their names in the file, which are those of Opsin 0.1.0."""


def load_index(path: Path, source: Source, stamps: list[str]) -> FileIndex:
    """Return the entries that `save_index` wrote for items with unchanged name and stamp."""
    names = [item.name for item in source.items]
    result = FileIndex.unknown(len(names))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {attribute: archive[name] for attribute, name in STORED_ARRAYS.items()}
            index = json.loads(archive["index"].tobytes())
        new_rows, old_rows = _matching_rows(names, stamps, index["names"], index["stamps"])
        for attribute, array in arrays.items():
            getattr(result, attribute)[new_rows] = array[old_rows]
        rows = [(int(n), int(o)) for n, o in zip(new_rows, old_rows, strict=True)]
        problems = {int(row): FileProblem(*problem) for row, problem in index["problems"].items()}
        result.problems = {n: problems[o] for n, o in rows if result.state[n] == FAILED}
        remarks = {int(row): str(remark) for row, remark in index["remarks"].items()}
        result.remarks = {n: remarks[o] for n, o in rows if o in remarks}
    except Exception:  # a damaged file may raise any error; then every image file is read again
        return FileIndex.unknown(len(names))
    return result


def _matching_rows(
    names: list[str], stamps: list[str], old_names: list[str], old_stamps: list[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of unchanged items in the new list and in the old one."""
    if names == old_names and stamps == old_stamps and all(stamps):
        return np.arange(len(names)), np.arange(len(names))
    rows = {pair: row for row, pair in enumerate(zip(old_names, old_stamps, strict=True)) if pair[1]}
    pairs = [(row, rows[pair]) for row, pair in enumerate(zip(names, stamps, strict=True)) if pair in rows]
    new_rows, old_rows = np.array(pairs, np.intp).reshape(-1, 2).T
    return new_rows, old_rows


def save_index(path: Path, file_index: FileIndex, source: Source, stamps: list[str]) -> None:
    """Write the index atomically. If the disk refuses, the next run is slower; no error is raised."""
    state = file_index.state.copy()
    problems = {row: problem for row, problem in file_index.problems.items() if problem.kind in PERSISTENT_PROBLEMS}
    state[[row for row in file_index.problems if row not in problems]] = UNKNOWN
    index = {
        "names": [item.name for item in source.items],
        "stamps": stamps,
        "remarks": file_index.remarks,
        "problems": {row: (problem.name, problem.reason, problem.kind) for row, problem in problems.items()},
    }
    arrays = {name: getattr(file_index, attribute) for attribute, name in STORED_ARRAYS.items()} | {"state": state}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, durable=False, mode=PRIVATE) as file:
            np.savez(file, index=np.frombuffer(json.dumps(index).encode(), np.uint8), **arrays)


def index_path(key: str) -> Path:
    """Return the path of the file index of the source with this key."""
    return store_folder() / "facts" / f"{key}.npz"
