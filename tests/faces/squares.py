"""A detector of red squares in the form of CenterFace, and photos with such squares as faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin import nn, ops, zoo
from opsin.data import Preprocessing
from opsin.faces import FaceDetector
from opsin.interop import onnx
from opsin.ir import BATCH, Graph, Tensor, input_tensor
from opsin.model import Model
from opsin.tasks.identity import Identity
from opsin.tasks.identity.calibration import SameThreshold
from tests.support import generator

FACE = 36
"""Height and width of a square in the image that the detector sees."""

POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
"""The landmarks, as shares of a square."""

SIDE = 320

LEFT, TOP = 40, 60
"""Where the first face of a photo is."""


def detector_graph(side: int = SIDE) -> Graph:
    """Return a network with CenterFace's outputs, whose score is the redness of 36 × 36 pixels around each place."""
    images = input_tensor("inputs", (BATCH, 3, side, side))
    red, green = ops.narrow(images, 1, 0, 1), ops.narrow(images, 1, 1, 1)
    redness = ops.maximum(ops.divide(ops.subtract(red, green), 255.0), 0.0)
    score = ops.avg_pool2d(redness, FACE, 4, (FACE - 4) // 2)
    size = _constants(score, [np.log(FACE / 4)] * 2)
    landmarks = _constants(score, POINTS[:, ::-1].reshape(-1))
    return Graph((images,), {"score": score, "size": size, "offset": _constants(score, [0, 0]), "marks": landmarks})


def _constants(like: Tensor, values: object) -> Tensor:
    zeros = ops.multiply(like, 0.0)
    return ops.concat([ops.add(zeros, float(value)) for value in np.asarray(values)], 1)


def detector(side: int = SIDE) -> FaceDetector:
    return FaceDetector(detector_graph(side), {}, "squares")


def write_detector(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(onnx.to_bytes(detector_graph(64), {}))
    return path


def face(person: int) -> NDArray[np.uint8]:
    """Return a red square with a person's pattern in green."""
    pattern = generator(f"face {person}").integers(0, 90, (4, 4))
    green = np.kron(pattern, np.ones((FACE // 4, FACE // 4)))
    return np.stack([np.full_like(green, 255), green, np.zeros_like(green)], -1).astype(np.uint8)


def photo(*people: int, size: tuple[int, int] = (240, 320)) -> Image.Image:
    """Return a grey photo, height × width, with the faces of people side by side."""
    pixels = np.full((*size, 3), 120, np.uint8)
    for place, person in enumerate(people):
        left = LEFT + place * 2 * FACE
        pixels[TOP : TOP + FACE, left : left + FACE] = face(person)
    return Image.fromarray(pixels)


def comparing_model(path: Path) -> Path:
    """Write an untrained network that compares grey images of 32 × 32."""
    task = Identity()
    graph = nn.trace(zoo.find("lenet5")(task.outputs, task=task.name), (1, 32, 32))
    model = Model("lenet5", graph, nn.initial_state(graph, 0), Preprocessing(1, 32, 32, (0.5,), (0.25,)), task)
    model.calibration = SameThreshold(0.99, 10.0, -9.9, 5, 5, 0.0, 0.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return path
