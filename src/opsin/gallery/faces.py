"""Photos of people in a gallery: the faces in them, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.faces import Face, FaceDetector, face_vectors
from opsin.faces.photo import open_photo
from opsin.gallery.search import Match, Search
from opsin.model import Model


@dataclass(frozen=True, eq=False)
class PersonFace:
    """A face in a photo, its unit vector if a model was given, and the nearest entry if a gallery was."""

    face: Face
    vector: NDArray[np.float32] | None = None
    match: Match | None = None

    def to_data(self) -> dict[str, Any]:
        """Return it for JSON, without the vector."""
        return {**self.face.to_data(), **(self.match.to_data() if self.match else {})}

    def __str__(self) -> str:
        return str(self.match or self.face)


@dataclass(frozen=True)
class FaceReader:
    """Finds faces with a detector, compares them with a model, and looks for them in a gallery."""

    detector: FaceDetector
    model: Model | None = None
    search: Search | None = None
    threshold: float = 0.0
    """The least similarity of a known entry."""

    def read(self, photo: Any) -> list[PersonFace]:
        """Return the faces in a photo, from left to right. Raise `DataError` if it is no image."""
        image = open_photo(photo)
        faces = self.detector.find(image)
        if self.model is None or not faces:
            return [PersonFace(face) for face in faces]
        vectors = face_vectors(self.model, image, faces)
        return [
            PersonFace(face, vector, self.search.nearest(vector, self.threshold) if self.search else None)
            for face, vector in zip(faces, vectors, strict=True)
        ]

    def only_vectors(self, photos: Sequence[Any]) -> NDArray[np.float32]:
        """Return the vectors of photos of one person. Raise `DataError` for one with no face, or with several."""
        return np.stack([self._only(photo) for photo in photos])

    def _only(self, photo: Any) -> NDArray[np.float32]:
        faces = self.read(photo)
        if not faces:
            raise DataError(
                f"{photo}: no face was found; give a sharp photo in which eyes, nose and mouth can be seen, with "
                "something around the face"
            )
        if len(faces) > 1:
            raise DataError(
                f"{photo} shows {len(faces)} faces; give photos of one person alone: `opsin faces {photo} --crops "
                "FOLDER` cuts the faces out"
            )
        vector = faces[0].vector
        if vector is None:
            raise ValueError("faces are compared by a model, and none was given")
        return vector
