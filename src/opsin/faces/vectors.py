"""Vectors of faces, from any network that compares images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.faces.alignment import ARCFACE, TEMPLATES, Template, align
from opsin.faces.face import Face
from opsin.model import Model
from opsin.model.embedding_import import TEMPLATE


def template_of(model: Model) -> Template:
    """Return how a model wants faces aligned: as its record says, or as ArcFace does."""
    return TEMPLATES.get(str(model.record.get(TEMPLATE)), ARCFACE)


def face_vectors(model: Model, image: Image.Image, faces: Sequence[Face]) -> NDArray[np.float32]:
    """Return the unit vectors, N × dimensions, of N faces in an image, each aligned for the model."""
    template, size = template_of(model), model.preprocessing.size
    answers = model.predict([align(image, face.landmarks, size, template) for face in faces])
    return np.stack([answer.vector for answer in answers])
