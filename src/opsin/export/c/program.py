"""What the C files of a model are written from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.backends.portable import COMPACT, Array, PortableProgram, portable_program, streamed_program
from opsin.base.errors import UsageError
from opsin.export.c.goldens import GoldenValues, golden_values
from opsin.export.c.names import prefix_of
from opsin.export.goldens import make_goldens
from opsin.export.precision import FLOAT32, Network, network_of
from opsin.ir import show
from opsin.kernels.ir import ELEMENT_BYTES, PORTABLE, PORTABLE_SMALL
from opsin.model import Model
from opsin.model.int8 import INT8

INPUT, OUTPUT = "inputs", "logits"
OFFSETS = "box_offsets"
SHAPES = {
    "segmentation": {OUTPUT: 3}, "identity": {"embeddings": 1}, "self-supervised": {"features": 1},
    "detection": {"class_logits": 2, OFFSETS: 2},
}  # fmt: skip
"""The outputs of a task and their numbers of axes, without that of the batch; for others a row of numbers."""
TARGETS = {FLOAT32: PORTABLE, INT8: PORTABLE_SMALL}
"""What kernels are built for. Programs in float32 are also for PCs, where larger tiles are faster."""


@dataclass(frozen=True, eq=False)
class Shipment:
    """A network, its program in a compact layout, the prefix of its names, and its goldens."""

    network: Network
    program: PortableProgram
    prefix: str
    goldens: GoldenValues

    @property
    def model(self) -> Model:
        return self.network.model

    @property
    def input(self) -> Array:
        return self.program.inputs[INPUT]

    @property
    def output(self) -> Array:
        return self.program.outputs[next(iter(shapes_of(self.model)))]

    @property
    def outputs(self) -> int:
        """The numbers that the network returns."""
        return int(np.prod(self.output.shape))

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one image."""
        return sum(macs for _, _, macs in self.layers)

    @property
    def layers(self) -> list[tuple[str, str, int]]:
        """The layer, the operation and the MACs of each call."""
        stream = self.program.stream
        steps = stream.steps if stream else ()
        by_rows = [
            (call.scope, call.label, step.count * call.macs) for step in steps for call in step.calls if call.label
        ]
        return by_rows + [(call.scope, call.label, call.macs) for call in self.program.calls]

    @property
    def is_streamed(self) -> bool:
        """Whether the network takes its image row by row."""
        return self.program.stream is not None


def prepare(model: Model, precision: str, stream: bool = False) -> Shipment:
    """Plan a model in "float32" or "int8" for C, row by row if it is to `stream`.

    Raise `UsageError` for a model that the format cannot hold, and `ModelError` if it cannot predict in int8.
    """
    shapes = {name: tensor.shape[1:] for name, tensor in model.graph.outputs.items()}
    if model.preprocessing.frames > 1 and (stream or model.tta is not None):
        other = "stream" if stream else "averaging over mirror images (tta)"
        raise UsageError(f"{model.name} compares frames of a film, which C does not combine with {other}; leave it out")
    expected = shapes_of(model)
    if {name: len(shape) for name, shape in shapes.items()} != expected:
        text = ", ".join(f"{name} {show(shape)}" for name, shape in shapes.items())
        raise UsageError(
            f"{model.name} does {model.task.name}; its outputs ({text}) are no "
            f"{'row' if expected == {OUTPUT: 1} else 'map'} of numbers, which is what the format c holds; ship it to "
            "onnx"
        )
    network = network_of(model, precision)
    program = (
        _streamed(network) if stream else portable_program(network.graph, network.state, COMPACT, TARGETS[precision])
    )
    _check_layout(model, program)
    return Shipment(network, program, prefix_of(model), golden_values(make_goldens(network), list(expected)))


def _streamed(network: Network) -> PortableProgram:
    model = network.model
    if model.tta is not None:
        raise UsageError(
            f"{model.name} averages over mirror images (tta), for which the whole image must be in memory; ship it "
            "without stream"
        )
    program = streamed_program(network.graph, network.state, COMPACT, TARGETS[network.precision])
    if program is None:
        first = next((node.op.name for node in network.graph.nodes if node.inputs), "it")
        raise UsageError(
            f"{model.name} cannot take its image row by row: its first operation, {first}, needs all of it; ship it "
            "without stream"
        )
    return program


def _check_layout(model: Model, program: PortableProgram) -> None:
    """Raise `AssertionError` unless input and output are contiguous; the planner makes them so."""
    channels, height, width = model.preprocessing.input_shape
    height = 1 if program.stream else height
    size = ELEMENT_BYTES[program.inputs[INPUT].element]
    strides = np.zeros((1, height, width, channels), f"V{size}").transpose(0, 3, 1, 2)
    pairs = zip(program.inputs[INPUT].strides, strides.strides, strides.shape, strict=True)
    assert all(actual == expected for actual, expected, size in pairs if size > 1), program.inputs[INPUT].strides
    for output in program.outputs.values():
        if len(output.shape) == 4:
            _, classes, _, columns = output.shape
            assert output.strides[1:] == (4, 4 * classes * columns, 4 * classes), output.strides
        else:
            assert output.shape[-1] == 1 or output.strides[-1] == 4
        assert len(output.shape) != 3 or output.strides[1] == 4 * output.shape[2], output.strides


def shapes_of(model: Model) -> dict[str, int]:
    """Return the outputs of the task of a model that C decodes, the one that `model_run` returns first."""
    return SHAPES.get(model.task.name, {OUTPUT: 1})
