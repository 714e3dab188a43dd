"""A model in C, written and measured, before it has a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from opsin.export.c.answers import make_answers
from opsin.export.c.header import header
from opsin.export.c.measure import Measurement
from opsin.export.c.measure import measure as measure_files
from opsin.export.c.program import Shipment, prepare
from opsin.export.c.projects import projects
from opsin.export.c.ram import ram_bytes
from opsin.export.c.source import source
from opsin.export.format import Files
from opsin.model import Model

MICROCONTROLLER = "arm-none-eabi-gcc"


@dataclass(frozen=True, eq=False)
class Folder:
    """The files of an export but its certificate, the checksum of its constants, and what compilers made of the files,
    if it was measured."""

    shipment: Shipment
    files: Files
    checksum: int
    measurements: tuple[Measurement, ...]

    def compiled_by(self, compilers: Sequence[str]) -> Self:
        """Return the folder as measured by those of `compilers` that are installed."""
        return replace(self, measurements=tuple(measure_files(self.files, self.shipment.prefix, compilers)))

    @property
    def measured(self) -> Measurement | None:
        """What the compiler for microcontrollers measured, if it is installed."""
        return next((each for each in self.measurements if MICROCONTROLLER in each.compiler), None)

    @property
    def ram(self) -> int:
        """The bytes of static variables, and of the stack if it was measured."""
        measured = self.measured
        return ram_bytes(self.shipment) + (max(measured.stack.values(), default=0) if measured else 0)

    @property
    def flash(self) -> int:
        """The bytes of code and constants, or of the weights alone if nothing was measured."""
        measured = self.measured
        return measured.code + measured.constants if measured else len(self.shipment.program.constants)


def write(model: Model, precision: str, stream: bool, compilers: Sequence[str] = ()) -> Folder:
    """Write a model in "float32" or "int8", row by row if it is to `stream`, and measure it with those of `compilers`
    that are installed. See `prepare` for errors."""
    shipment = prepare(model, precision, stream)
    answers = make_answers(shipment)
    name = shipment.prefix
    text, checksum = source(shipment, answers)
    texts = {
        f"src/{name}.h": header(shipment, answers),
        f"src/{name}.c": text,
        **dict(projects(shipment, answers)),
    }
    files = {file: text.encode("ascii") for file, text in texts.items()}
    return Folder(shipment, files, checksum, ()).compiled_by(compilers)
