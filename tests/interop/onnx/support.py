"""What the tests of this room share: files in, numbers out."""

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


def network(file: File, folder: Path, **more: Any) -> onnx.Network:
    return onnx.read(file.write(folder / "net.onnx"), **more)


def run(file: File, folder: Path, x: Array, **more: Any) -> list[Array]:
    """All outputs on the images `x`, on the reference engine in float64."""
    read = network(file, folder, **more)
    program = Reference(read.graph, len(x), np.float64)
    program.load_state(read.state)
    return list(program.run(inputs=x).values())


def refused(file: File | bytes, folder: Path, **more: Any) -> str:
    """The error's text, without the file's name that it begins with."""
    path = folder / "net.onnx"
    path.write_bytes(file if isinstance(file, bytes) else file.data())
    with pytest.raises(ModelError) as caught:
        onnx.read(path, **more)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path)).strip()
