"""Models as C libraries of this process."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import opsin
from opsin.model import Model
from tests.backends.c.support import VARIANTS, library


class CModel:
    """A model that was exported to C and compiled with one of `VARIANTS`."""

    def __init__(self, model: Model, folder: Path, variant: str = "gcc, vectors", extra_bytes: int = 0) -> None:
        export = opsin.ship(model, "c")
        files = export.files.items()
        sources = {name.removeprefix("src/"): content.decode() for name, content in files if name.startswith("src/")}
        self.prefix = next(name for name in sources if name.endswith(".c"))[:-2]
        header = f"{self.prefix}.h"
        folder.mkdir(exist_ok=True)
        (folder / header).write_text(sources[header])
        option = f"-D{self.prefix.upper()}_EXTRA_BYTES={extra_bytes}"
        code = {name: text for name, text in sources.items() if name.endswith(".c")}
        self.library = library(folder, code, (*VARIANTS[variant], option, "-I."))
        self.count = sum(int(np.prod([int(str(size)) for size in t.shape[1:]])) for t in model.graph.outputs.values())

    def call(self, name: str, *arguments: object) -> int:
        return int(getattr(self.library, f"{self.prefix}_{name}")(*arguments))

    def outputs(self, pixels: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32]]:
        """Return the state and the outputs for rows × columns (× channels) of bytes."""
        values = np.zeros(self.count, np.float32)
        return self.call("outputs", *_image(pixels), values.ctypes.data_as(ctypes.c_void_p)), values

    def predict(self, pixels: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32]]:
        """Return the label's number and the probabilities."""
        values = np.zeros(self.count, np.float32)
        return self.call("predict", *_image(pixels), values.ctypes.data_as(ctypes.c_void_p)), values


def _image(pixels: NDArray[np.uint8]) -> tuple[object, ...]:
    pixels = np.ascontiguousarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return pixels.ctypes.data_as(ctypes.c_void_p), pixels.shape[1], pixels.shape[0], channels
