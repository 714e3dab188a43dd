"""What a task adds to an export: a function that turns outputs into answers, and what the program for a PC prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opsin.backends.c import Table
from opsin.base.errors import UsageError
from opsin.export.c import detection
from opsin.export.c.exponential import EXPONENTIAL, exponential
from opsin.export.c.names import string
from opsin.export.c.program import Shipment
from opsin.export.c.templates import asset, floats, renamed
from opsin.model import Model
from opsin.tasks.identity.calibration import SameThreshold
from opsin.tasks.regression.intervals import LEVEL

DONT_KNOW = '  if (values[best] < MODEL_THRESHOLD) printf("don\'t know, perhaps ");\n'
DEFAULT_THRESHOLD = 0.5
OTHER_IMAGE = " [OTHER.ppm]"


@dataclass(frozen=True)
class Answers:
    """Parts of the `.h` file, of the `.c` file, and of the `main` of the program for a PC.

    `arguments` are what that program takes after the image, `functions` those of the prelude that the source calls, and
    `tables` its constants, which the checksum covers.
    """

    header: str
    source: str
    main: str
    arguments: str = ""
    functions: frozenset[str] = frozenset()
    tables: tuple[Table, ...] = ()


def check_task(model: Model) -> None:
    """Raise `UsageError` for a task whose outputs are not decoded in C."""
    if model.task.name not in ANSWERS:
        raise UsageError(
            f"{model.name} does {model.task.name}, which is not decoded in C yet; those that do "
            f"{', '.join(ANSWERS)} can be shipped to c"
        )


def make_answers(shipment: Shipment) -> Answers:
    """Return the parts for the task of a model that `check_task` accepts."""
    return ANSWERS[shipment.model.task.name](shipment)


def _classification(shipment: Shipment) -> Answers:
    calibration = shipment.model.calibration
    has_threshold = calibration is not None and calibration.threshold is not None
    code = asset("classify.c", shipment, temperature=floats([calibration.temperature if calibration else 1.0]))
    header = asset("classify.h", shipment)
    if has_threshold:
        threshold = f"#define MODEL_THRESHOLD {floats([calibration.threshold])}\n"
        header = (
            renamed(f"\n/* The model does not know an answer of a lower probability. */\n{threshold}", shipment)
            + header
        )
    main = asset("pc/predict.txt", shipment, threshold=renamed(DONT_KNOW, shipment) if has_threshold else "")
    return Answers(header, exponential(shipment) + code, main, tables=(EXPONENTIAL,))


def _multilabel(shipment: Shipment) -> Answers:
    calibration = shipment.model.calibration
    thresholds = calibration.thresholds if calibration else [DEFAULT_THRESHOLD] * shipment.outputs
    code = asset("give_labels.c", shipment, thresholds=floats(thresholds))
    return Answers(
        asset("give_labels.h", shipment), exponential(shipment) + code, asset("pc/labels.txt", shipment),
        tables=(EXPONENTIAL, Table.of(f"{shipment.prefix}_thresholds", thresholds)),
    )  # fmt: skip


def _regression(shipment: Shipment) -> Answers:
    task, calibration = shipment.model.task, shipment.model.calibration
    margins = calibration.margins if calibration else [0.0] * shipment.outputs
    code = asset(
        "measure.c", shipment, units=", ".join(map(string, task.units)), margins=floats(margins),
        scales=floats(task.scales), means=floats(task.means),
    )  # fmt: skip
    level = calibration.level if calibration else LEVEL
    numbers = {f"{shipment.prefix}_margins": margins, "scales": task.scales, "means": task.means}
    tables = [Table(f"{shipment.prefix}_units", task.units), *(Table.of(*item) for item in numbers.items())]
    header, main = asset("measure.h", shipment, level=level), asset("pc/numbers.txt", shipment)
    return Answers(header, code, main, tables=tuple(tables))


def _segmentation(shipment: Shipment) -> Answers:
    _, classes, height, width = shipment.output.shape
    header = asset("segment.h", shipment, classes=classes, map_width=width, map_height=height)
    return Answers(header, asset("segment.c", shipment), asset("pc/segment.txt", shipment), " [CLASSES.pgm]")


def _detection(shipment: Shipment) -> Answers:
    code, tables = detection.source(shipment)
    return Answers(detection.header(shipment), code, asset("pc/detect.txt", shipment), tables=tables)


def _vectors(shipment: Shipment) -> Answers:
    same: SameThreshold | None = shipment.model.calibration
    is_unit = shipment.model.task.name == "identity"
    bits = "It has" if is_unit else f"The outputs that it is made of, {shipment.prefix}_outputs, have"
    header = asset("compare.h", shipment, bits=f"{bits} the bits of `opsin predict --portable`.")
    code, text = asset("compare.c", shipment), ""
    if same is not None:
        header += asset("same.h", shipment, threshold=floats([same.threshold]))
        code += exponential(shipment)
        code += asset("same.c", shipment, slope=floats([same.slope]), offset=floats([same.offset]))
        text = asset("pc/same.txt", shipment)
    main = asset("pc/vectors.txt", shipment, same=text)
    tables = () if same is None else (EXPONENTIAL,)
    return Answers(header, code, main, OTHER_IMAGE, frozenset({"f_sqrt"}), tables)


ANSWERS: dict[str, Callable[[Shipment], Answers]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "segmentation": _segmentation,
    "detection": _detection,
    "identity": _vectors,
    "self-supervised": _vectors,
}
