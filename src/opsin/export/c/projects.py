"""Ready projects: a program for a PC, one for emulated Cortex-M boards, and an Arduino library around the sources."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.export.c.names import comment
from opsin.export.c.program import Shipment
from opsin.export.c.source import asset, renamed
from opsin.tasks.classification import Classification

THRESHOLD = '  if (values[best] < MODEL_THRESHOLD) printf("don\'t know, perhaps ");\n'


def projects(shipment: Shipment) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file."""
    model, program = shipment.model, shipment.program
    for name in ("main.c", "board.ld", "Makefile"):
        yield f"cortex-m/{name}", asset(f"cortex_m/{name}", shipment)
    yield "pc/Makefile", asset("pc/Makefile", shipment)
    yield "pc/main.c", asset("pc/main.c", shipment, answer=_answer(shipment))
    sentence = comment(f"The network {model.network} for {model.task.subject()}.")
    yield (
        "library.properties",
        asset(
            "arduino/library.properties", shipment, sentence=sentence, ram=program.arena_bytes,
            weights=len(program.constants),
        ),
    )  # fmt: skip
    yield "examples/self_test/self_test.ino", asset("arduino/self_test.ino", shipment)


def _answer(shipment: Shipment) -> str:
    """Return the statements that print what the model says about an image."""
    model = shipment.model
    if not isinstance(model.task, Classification):
        return asset("pc/outputs.txt", shipment).rstrip("\n")
    has_threshold = model.calibration is not None and model.calibration.threshold is not None
    threshold = renamed(THRESHOLD, shipment) if has_threshold else ""
    return asset("pc/predict.txt", shipment, threshold=threshold).rstrip("\n")
