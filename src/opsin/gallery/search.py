"""Exact search: the similarities with all entries of a gallery, as a compiled matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.backends.native import compile as compile_native
from opsin.base.errors import UsageError
from opsin.gallery.gallery import Gallery
from opsin.ir import BATCH, Graph, input_tensor, variable

UNKNOWN = "no one I know"


@dataclass(frozen=True)
class Match:
    """The nearest entry for an image: its name and similarity, and whether it reaches the threshold."""

    name: str
    similarity: float
    known: bool

    @property
    def label(self) -> str:
        """The name, or that it is unknown."""
        return self.name if self.known else UNKNOWN

    def to_data(self) -> dict[str, str | float | bool | None]:
        """Return it for JSON; the name is None if the entry is not near enough."""
        name = self.name if self.known else None
        return {"known": self.known, "name": name, "nearest": self.name, "similarity": self.similarity}

    def __str__(self) -> str:
        return f"{self.name} (similarity {self.similarity:.3f})" if self.known else UNKNOWN


class Search:
    """Looks for vectors in a gallery. Threads may share it."""

    def __init__(self, gallery: Gallery, threads: int | None = None) -> None:
        """Compile the product. Raise `UsageError` if the gallery is empty."""
        if not gallery.names:
            raise UsageError("the gallery is empty; add an entry with `opsin gallery add`")
        self.gallery = gallery
        count, dimensions = gallery.vectors.shape
        queries = input_tensor("queries", (BATCH, dimensions))
        # Numbers of one dimension lie together: the product then reads the entries once, in order, and packs nothing.
        entries = variable("entries", (dimensions, count))
        product = ops.matmul(queries, entries)
        self._program = compile_native(Graph((queries,), {"similarities": product}), 1, threads)
        self._program.load_state({"entries": np.ascontiguousarray(gallery.vectors.T)})

    def similarities(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosines of a unit vector with all entries."""
        result: NDArray[np.float32] = self._program.run(queries=np.ascontiguousarray(vector[None]))["similarities"][0]
        return result

    def nearest(self, vector: NDArray[np.float32], threshold: float) -> Match:
        """Return the nearest entry of a unit vector, known if its similarity is at least the threshold."""
        similarities = self.similarities(vector)
        place = int(similarities.argmax())
        similarity = float(similarities[place])
        return Match(self.gallery.names[place], similarity, similarity >= threshold)
