"""A gallery: names with the vectors of images, made by one model, which the gallery names by its digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError, UsageError
from opsin.gallery import file
from opsin.model import Model
from opsin.model import file as model_file
from opsin.model.embedding_import import import_embedding

MAX_NAME = 200
"""Characters of a name."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """N entries: `names`, which may repeat, and unit vectors, float32 N × dimensions, of the model with this digest.

    `model_path` is where the model was. In a gallery of `faces`, each vector is that of a face that was found in a
    photo and aligned. A gallery never changes; `added` and `removed` return another one.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    model_digest: str
    model_path: str
    faces: bool = False

    @classmethod
    def empty(cls, model_path: Path, dimensions: int, faces: bool = False) -> Gallery:
        """Return a gallery without entries for the model in a file."""
        vectors = np.empty((0, dimensions), np.float32)
        return cls((), vectors, model_digest(model_path), str(model_path.resolve()), faces)

    @classmethod
    def read(cls, path: Path) -> Gallery:
        """Return the gallery in a file. Raise `DataError` if it is none, or is damaged."""
        description, vectors = file.read(path)
        try:
            names = tuple(str(name) for name in description["names"])
            digest, model_path = str(description["model_digest"]), str(description["model_path"])
            gallery = cls(names, vectors, digest, model_path, bool(description.get("faces", False)))
        except (KeyError, TypeError):
            raise DataError(f"{path} is no gallery; give a file that `opsin gallery add` made") from None
        if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != len(names):
            raise DataError(f"{path} has {len(names)} names and vectors of another number; it cannot be used")
        return gallery

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        description = {
            "names": list(self.names), "model_digest": self.model_digest, "model_path": self.model_path,
            "faces": self.faces,
        }  # fmt: skip
        file.write(path, description, self.vectors)

    def added(self, name: str, vectors: NDArray[np.float32]) -> Gallery:
        """Return the gallery with further vectors (M × dimensions) of `name`. Raise `UsageError` for an odd name."""
        if not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
            raise UsageError(f"a name has 1 to {MAX_NAME} printable characters, not {name[:MAX_NAME]!r}")
        return replace(self, names=self.names + (name,) * len(vectors), vectors=np.concatenate([self.vectors, vectors]))

    def removed(self, name: str) -> Gallery:
        """Return the gallery without the entries of `name`. Raise `UsageError` if there are none."""
        rows = [row for row, each in enumerate(self.names) if each != name]
        if len(rows) == len(self.names):
            raise UsageError(f"the gallery has no '{name}'; `opsin gallery list` shows its names")
        return replace(self, names=tuple(self.names[row] for row in rows), vectors=self.vectors[rows])

    def counts(self) -> dict[str, int]:
        """Return the number of entries by name, sorted."""
        return dict(sorted(Counter(self.names).items()))

    def find_model(self, path: Path, given: str | None = None) -> Path:
        """Return the file of the gallery's model: `given`, or where it was, or one of its name in the gallery's folder.

        Raise `UsageError` if `given` is another model, or if the model is not found.
        """
        was = Path(self.model_path)
        candidates: Sequence[Path] = [Path(given)] if given is not None else [was, path.parent / was.name]
        for candidate in candidates:
            if candidate.is_file() and model_digest(candidate) == self.model_digest:
                return candidate
        if given is not None:
            raise UsageError(
                f"{given} is not the model of {path}, whose vectors come from {was.name} (digest {self.model_digest}); "
                "vectors of two models cannot be compared: give that model, or begin another gallery"
            )
        raise UsageError(
            f"the model of {path} is neither at {was} nor in the gallery's folder, or has changed; give it with "
            f"--model (digest {self.model_digest})"
        )


def model_digest(path: Path) -> str:
    """Return a digest of a model file. Raise `UsageError` if it cannot be read."""
    try:
        return model_file.digest(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give a model file as --model") from None


def load_comparing(path: Path) -> Model:
    """Return the model in a file: of Opsin, dlib or ONNX. Raise `UsageError` unless it compares images."""
    model = import_embedding(path)
    if not hasattr(model.task, "compare"):
        raise UsageError(
            f"{path} does {model.task.name}, and a gallery needs a model that was trained with --task identity"
        )
    return model


def least_similarity(model: Model, given: float | None) -> float:
    """Return the similarity from which an entry is known: `given`, or that of the model, which must have one then."""
    if given is not None:
        return given
    if model.calibration is None:
        raise UsageError(f"{model.name} has no threshold; give the least similarity of a known entry: --threshold 0.5")
    return float(model.calibration.threshold)
