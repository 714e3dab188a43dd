"""The parts of an export for browsers and Node: two modules, the data, and the description."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from opsin.backends.portable import PortableProgram, portable_program
from opsin.backends.wasm import WasmModule, program_module
from opsin.base.errors import UsageError
from opsin.data.decode import Crop, Portable
from opsin.data.preprocessing import portable_preprocessing
from opsin.export.goldens import Goldens, make_goldens, noise
from opsin.export.precision import network_of
from opsin.export.runtime.tasks import task_description
from opsin.kernels.ir import PORTABLE
from opsin.kernels.resize import ResizeSeparable
from opsin.model import Model

TEST_IMAGE = 53, 37
"""Width and height of the image of which the resized pixels are checked."""


@dataclass(frozen=True, eq=False)
class Parts:
    """`vector` is the module of `program`, `data` are its constants, and `description` is everything
    else, as JSON takes it."""

    program: PortableProgram
    vector: bytes
    data: bytes
    description: dict[str, Any]

    @property
    def scalar(self) -> bytes:
        """The module without vector instructions, whose results are equal to the bit."""
        return _module(self.program, simd=False).code


def make_parts(model: Model, precision: str) -> Parts:
    """Return the parts of a model in "float32" or "int8".

    Raise `UsageError` if the script cannot run such a model, and `ModelError` if it cannot predict in int8.
    """
    task = task_description(model)
    if model.preprocessing.channels not in (1, 3):
        raise UsageError(f"{model.name} takes {model.preprocessing.channels} channels; pages show grey and RGB images")
    network = network_of(model, precision)
    program = portable_program(network.graph, network.state)
    vector = _module(program, simd=True)
    goldens = make_goldens(network)
    description = {
        "network": model.network,
        "precision": precision,
        "task": task,
        "mirrored": model.tta == "hflip",
        "input": input_description(model),
        "module": {
            "constants": vector.constants,
            "free": vector.free,
            "inputs": {name: asdict(tensor) for name, tensor in vector.inputs.items()},
            "outputs": {name: asdict(tensor) for name, tensor in vector.outputs.items()},
        },
        "goldenDigests": golden_digests(goldens, list(vector.outputs)),
        "frameDigest": hashlib.sha256(_test_pixels(model).tobytes()).hexdigest(),
    }
    return Parts(program, vector.code, program.constants, description)


def _module(program: PortableProgram, simd: bool) -> WasmModule:
    return program_module(program, simd, {"resize": ResizeSeparable().build(PORTABLE)})


def golden_digests(goldens: Goldens, names: list[str]) -> list[str]:
    """Return the SHA-256 digest of the outputs for each golden image, in the order of `names`."""
    rows = zip(*(goldens.outputs[name] for name in names), strict=True)
    return [hashlib.sha256(b"".join(array.tobytes() for array in row)).hexdigest() for row in rows]


def input_description(model: Model) -> dict[str, Any]:
    """Return what the network takes, how images are framed, and how pixel values are normalized."""
    preprocessing = model.preprocessing
    scale, shift = preprocessing.scale_and_shift
    crop = preprocessing.crop
    framing: dict[str, Any] = {"kind": "fit", "interpolation": "bicubic"}
    if isinstance(crop, Crop):
        framing = {"kind": "crop", "resize": crop.resize, "interpolation": crop.interpolation}
    elif crop is not None and not isinstance(crop, Portable):
        framing = {"kind": "stretch", "interpolation": crop.interpolation}
    return {
        "channels": preprocessing.channels, "frames": preprocessing.frames,
        "height": preprocessing.height, "width": preprocessing.width,
        "scale": scale.tolist(), "shift": shift.tolist(), "darkBackground": preprocessing.dark_background,
        "framing": framing,
    }  # fmt: skip


def _test_pixels(model: Model) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the pixels that the network takes for the noise that the script makes, too."""
    width, height = TEST_IMAGE
    image = Image.frombytes("RGB", TEST_IMAGE, noise(0, 3 * width * height).tobytes())
    return portable_preprocessing(model.preprocessing).read(image, "the test image")
