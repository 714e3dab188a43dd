"""Ready projects: a program for a PC, one for emulated Cortex-M boards, and an Arduino library around the sources."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.export.c.answers import Answers
from opsin.export.c.names import comment
from opsin.export.c.program import Shipment
from opsin.export.c.templates import asset


def projects(shipment: Shipment, answers: Answers) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file."""
    model, program = shipment.model, shipment.program
    for name in ("main.c", "board.ld", "Makefile"):
        yield f"cortex-m/{name}", asset(f"cortex_m/{name}", shipment)
    yield "pc/Makefile", asset("pc/Makefile", shipment)
    yield "pc/main.c", asset("pc/main.c", shipment, answer=answers.main.rstrip("\n"), more=answers.arguments)
    sentence = comment(f"The network {model.network} for {model.task.subject()}.")
    yield (
        "library.properties",
        asset(
            "arduino/library.properties", shipment, sentence=sentence, ram=program.arena_bytes,
            weights=len(program.constants),
        ),
    )  # fmt: skip
    yield "examples/self_test/self_test.ino", asset("arduino/self_test.ino", shipment)
