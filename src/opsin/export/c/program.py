"""What the C files of a model are written from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.backends.portable import COMPACT, Array, PortableProgram, portable_program
from opsin.base.errors import UsageError
from opsin.export.c.goldens import Goldens, make_goldens
from opsin.export.c.names import prefix_of
from opsin.ir import show
from opsin.model import Model

INPUT, OUTPUT = "inputs", "logits"
CHECKSUM_FACTOR = 0x01000193
"""An odd number: a bit that changes in any word changes the sum of words times its powers."""


@dataclass(frozen=True, eq=False)
class Shipment:
    """A model, its program in a compact layout, the prefix of its names, and its goldens."""

    model: Model
    program: PortableProgram
    prefix: str
    goldens: Goldens

    @property
    def input(self) -> Array:
        return self.program.inputs[INPUT]

    @property
    def output(self) -> Array:
        return self.program.outputs[OUTPUT]

    @property
    def outputs(self) -> int:
        """The numbers that the network returns."""
        return int(np.prod(self.output.shape))

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one image."""
        return sum(call.macs for call in self.program.calls)

    @property
    def checksum(self) -> int:
        """The checksum of the weights, as `assets/self_test.c` computes it."""
        words = np.frombuffer(self.program.constants, "<u4").astype(np.uint32)
        powers = np.full(len(words), CHECKSUM_FACTOR, np.uint32)
        powers[:1] = 1
        return int((words * np.multiply.accumulate(powers)[::-1]).sum(dtype=np.uint32))


def prepare(model: Model) -> Shipment:
    """Plan a model for C. Raise `UsageError` for a model that the format cannot hold."""
    shapes = {name: tensor.shape[1:] for name, tensor in model.graph.outputs.items()}
    if model.preprocessing.frames > 1:
        raise UsageError(f"{model.name} compares frames of a film, which the format c does not keep; ship it to onnx")
    if set(shapes) != {OUTPUT} or len(shapes[OUTPUT]) != 1:
        text = ", ".join(f"{name} {show(shape)}" for name, shape in shapes.items())
        raise UsageError(
            f"{model.name} does {model.task.name}; its outputs ({text}) are no row of numbers, which is what the "
            "format c holds; ship it to onnx"
        )
    program = portable_program(model.graph, model.state, COMPACT)
    _check_layout(model, program)
    return Shipment(model, program, prefix_of(model), make_goldens(model, OUTPUT))


def _check_layout(model: Model, program: PortableProgram) -> None:
    """Raise `AssertionError` unless input and output are contiguous; the planner makes them so."""
    channels, height, width = model.preprocessing.shape
    strides = np.zeros((1, height, width, channels), np.float32).transpose(0, 3, 1, 2)
    pairs = zip(program.inputs[INPUT].strides, strides.strides, strides.shape, strict=True)
    assert all(actual == expected for actual, expected, size in pairs if size > 1), program.inputs[INPUT].strides
    assert program.outputs[OUTPUT].shape[-1] == 1 or program.outputs[OUTPUT].strides[-1] == 4
