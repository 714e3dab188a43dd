"""Helpers that import an ONNX file, run it, or return the error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.backends.reference import Reference
from opsin.base.errors import ModelError
from opsin.interop import onnx
from tests.interop.onnx.writer import File

Array = NDArray[Any]


def network(file: File, folder: Path, **options: Any) -> onnx.Network:
    return onnx.read(file.write(folder / "net.onnx"), **options)


def run(file: File, folder: Path, x: Array, **options: Any) -> list[Array]:
    """Return all outputs for the images `x`, computed by the reference backend in float64."""
    result = network(file, folder, **options)
    program = Reference(result.graph, len(x), np.float64)
    program.load_state(result.state)
    return list(program.run(inputs=x).values())


def import_error(file: File | bytes, folder: Path, **options: Any) -> str:
    """Return the message of the `ModelError`, without the file's name at its start."""
    path = folder / "net.onnx"
    path.write_bytes(file if isinstance(file, bytes) else file.data())
    with pytest.raises(ModelError) as error:
        onnx.read(path, **options)
    assert str(error.value).startswith(str(path))
    return str(error.value).removeprefix(str(path)).strip()
