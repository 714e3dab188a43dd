"""Decide what the values of masks mean, over all masks of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from opsin.tasks.segmentation.class_tables import VOID_NAMES, ClassTable
from opsin.tasks.segmentation.coding import BACKGROUND, BINARY, IGNORE, MAX_CLASSES, ValueTable
from opsin.tasks.segmentation.pixels import COLOUR, PALETTE
from opsin.tasks.segmentation.survey import GREY_COLOUR, Survey, share_of, union
from opsin.tasks.segmentation.voc import VOC_CLASSES, VOC_VOID, voc_colour

MAX_INFERRED_COLOURS = 64
"""Distinct colours that are read as classes if no table names them."""

MIN_INSTANCES = 10
"""Distinct ids from which masks whose ids run from 1 to n in each image may be numbered instances."""

VOC_FOLDER = "segmentationclass"

HALF = 128
"""The grey value from which a pixel of a mask with soft edges is foreground."""


@dataclass(frozen=True)
class Meaning:
    """How values become class ids, the names of the classes, and a sentence for people.

    `void` are values that are ignored on purpose.
    """

    table: ValueTable
    classes: tuple[str, ...]
    note: str
    void: frozenset[int] = frozenset()

    def counts(self, survey: Survey) -> dict[int, int]:
        """Return the number of pixels with each class id in a mask."""
        view = survey.colours if self.table.colour else survey
        ids = dict(zip(self.table.values, self.table.ids, strict=True))
        counts: dict[int, int] = {}
        for value, count in zip(view.values, view.counts, strict=True):
            number = ids.get(value, self.table.others)
            if self.table.threshold is not None:
                number = int(value >= self.table.threshold)
            counts[number] = counts.get(number, 0) + count
        return counts

    def unknown(self, survey: Survey) -> dict[int, int]:
        """Return the values of a mask that no class has, and the number of pixels with each."""
        if self.table.threshold is not None or self.table.others != IGNORE:
            return {}
        view = survey.colours if self.table.colour else survey
        known_values = {*self.table.values} | self.void
        return {
            value: count for value, count in zip(view.values, view.counts, strict=True) if value not in known_values
        }


def decide(surveys: Sequence[Survey], classes: ClassTable | None = None) -> Meaning | None:
    """Return the meaning of the values; None if they cannot be classes, such as hundreds of colours."""
    if classes and classes.colours and _fits(surveys, classes.colours):
        return _by_colour_table(classes, classes.colours)
    if len({survey.mode for survey in surveys}) > 1:  # an index means nothing among grey values and colours
        surveys = [survey.colours if survey.mode == PALETTE else survey for survey in surveys]
    if any(survey.mode == COLOUR and not survey.is_grey for survey in surveys) or not _one_palette(surveys):
        return _by_colours([survey.colours for survey in surveys], classes)
    if any(survey.mode == COLOUR for survey in surveys):
        return _as_colours(decide([s.colours.grey if s.colours.is_grey else s for s in surveys], classes))
    return _by_ids(surveys, classes)


def _fits(surveys: Sequence[Survey], colours: tuple[int, ...]) -> bool:
    """Return whether most pixels have colours of the table, and not only black."""
    views = [survey.colours for survey in surveys]
    colours_in_both = {*union(views)} & {*colours}
    return bool(colours_in_both - {0}) and share_of(views, colours) > 0.5


def _one_palette(surveys: Sequence[Survey]) -> bool:
    """Return whether each palette index that is used has the same colour in all masks."""
    colour: dict[int, int] = {}
    for survey in surveys:
        if survey.mode == PALETTE:
            for value in survey.values:
                shade = survey.palette[value] if value < len(survey.palette) else 0
                if colour.setdefault(value, shade) != shade:
                    return False
    return True


def _by_colour_table(classes: ClassTable, colours: tuple[int, ...]) -> Meaning:
    rows = [(n, c) for n, c in zip(classes.names, colours, strict=True) if n.lower() not in VOID_NAMES][:MAX_CLASSES]
    values = tuple(colour for _, colour in rows)
    void = frozenset(colours) - {*values}
    note = f"masks hold colours: read as the {len(rows)} classes of {classes.path}" + (
        ", and pixels of 'void' are ignored" if void else ""
    )
    return Meaning(ValueTable(values, tuple(range(len(rows))), colour=True), tuple(n for n, _ in rows), note, void)


def _by_colours(surveys: Sequence[Survey], classes: ClassTable | None) -> Meaning | None:
    """Read each colour as a class, in the order of red, green and blue, so that black is the first."""
    colours = union(surveys)
    if len(colours) > MAX_INFERRED_COLOURS:
        if 0 not in colours or any(survey.lossy for survey in surveys) or share_of(surveys, [0]) < 0.05:
            return None
        note = f"masks hold black and {len(colours) - 1:,} other colours: read as background and foreground"
        return Meaning(ValueTable((0,), (0,), colour=True, others=1), BINARY, note)
    void = frozenset((VOC_VOID,)) & {*colours} if _is_voc([c for c in colours if c != VOC_VOID]) else frozenset[int]()
    values = tuple(colour for colour in colours if colour not in void)
    names = tuple(BACKGROUND if colour == 0 else f"#{colour:06x}" for colour in values)
    if classes and len(classes.names) == len(values) and not classes.colours:
        names = classes.names
    elif _is_voc(values) and _in_voc_folder(surveys):
        values, names = tuple(map(voc_colour, range(len(VOC_CLASSES)))), VOC_CLASSES
    elif len(values) == 2 and values[0] == 0:
        names = BINARY
    note = f"masks hold {len(colours)} colours, which no table names: each is read as a class"
    return Meaning(ValueTable(values, tuple(range(len(values))), colour=True), names, note, void)


def _is_voc(colours: Sequence[int]) -> bool:
    return {*colours} <= {voc_colour(i) for i in range(len(VOC_CLASSES))}


def _in_voc_folder(surveys: Sequence[Survey]) -> bool:
    return all(VOC_FOLDER in survey.path.lower().split("/") for survey in surveys)


def _as_colours(meaning: Meaning | None) -> Meaning | None:
    """Return a meaning of grey values as one of grey colours."""
    if meaning is None:
        return None
    table = meaning.table
    threshold = None if table.threshold is None else table.threshold * GREY_COLOUR
    values = tuple(value * GREY_COLOUR for value in table.values)
    void = frozenset(value * GREY_COLOUR for value in meaning.void)
    return replace(meaning, table=replace(table, values=values, threshold=threshold, colour=True), void=void)


def _by_ids(surveys: Sequence[Survey], classes: ClassTable | None) -> Meaning | None:
    values = union(surveys)
    bits = " in 16 bits" if any(survey.bits > 8 for survey in surveys) else ""
    if _is_soft(surveys, values):
        note = (
            f"masks hold {len(values)} grey values, mostly 0 and 255: read as background below {HALF}, else foreground"
        )
        return Meaning(ValueTable(threshold=HALF), BINARY, note)
    if classes and len(values) > 2 and (meaning := _by_names(values, classes)):
        return meaning
    if _are_instances(surveys, values):
        most = max(sum(1 for value in survey.values if value) for survey in surveys)
        held = f"0 and 1 to {most:,} per image" if values[0] == 0 else f"1 to {most:,} ids per image"
        note = f"masks hold {held},{bits or ' many ids'}: read as background and foreground"
        return Meaning(ValueTable((0,), (0,), others=1), BINARY, note)
    if len(values) > MAX_CLASSES + 1:
        return None
    return _by_values(surveys, values, classes, bits)


def _is_soft(surveys: Sequence[Survey], values: Sequence[int]) -> bool:
    """Return whether masks are black and white with soft edges, or blurred by JPEG."""
    if not {0, 255} <= {*values} or max(values) > 255:
        return bool(values) and all(s.lossy for s in surveys) and len(values) > 3 and max(values) > HALF >= min(values)
    inner = max((value for value in values if value != IGNORE), default=0)
    lossy = any(survey.lossy for survey in surveys) and len(values) > 2
    edges = len(values) > 8 and inner > 200 and share_of(surveys, [255]) > 0.01
    return (lossy or edges) and share_of(surveys, [0, 255]) > 0.8


def _are_instances(surveys: Sequence[Survey], values: Sequence[int]) -> bool:
    """Return whether ids number the instances of each image: from 1 to n, with n different in each image."""
    ids = [[value for value in survey.values if value > 0] for survey in surveys]
    ids = [every for every in ids if every]
    if values and min(values) < 0:
        return False
    if len(values) > MAX_CLASSES + 1:
        return True
    if len(values) <= MIN_INSTANCES or len(ids) < MIN_INSTANCES // 2:
        return False
    dense = median(len(every) / every[-1] for every in ids)
    return dense > 0.9 and len({len(every) for every in ids}) >= MIN_INSTANCES // 2


def _ignores(values: Sequence[int]) -> bool:
    """Return whether 255 marks pixels that do not count: next to other ids, which are small or dense."""
    others = [value for value in values if value != IGNORE]
    return IGNORE in values and len(others) > 1 and (others[-1] < 100 or 2 * len(others) > others[-1])


def _by_names(values: Sequence[int], classes: ClassTable) -> Meaning | None:
    """Read ids as the classes of a table: by its ids, or by the order of its names."""
    names, ids = classes.names, classes.ids or tuple(range(len(classes.names)))
    inner = [value for value in values if value != IGNORE]
    missing_background = classes.ids is None and inner[-1:] == [len(names)] and values[0] == 0
    if missing_background and BACKGROUND not in map(str.lower, names):
        names, ids = (BACKGROUND, *names), tuple(range(len(names) + 1))
    if not {*inner} & {*ids} or len(names) < 2:
        return None
    rows = [(name, i) for name, i in zip(names, ids, strict=True) if name.lower() not in VOID_NAMES][:MAX_CLASSES]
    class_values = tuple(i for _, i in rows)
    void = (frozenset(ids) | {IGNORE}) - {*class_values}
    note = f"masks hold ids: read as the {len(rows)} classes of {classes.path}"
    return Meaning(
        ValueTable(class_values, tuple(range(len(class_values)))), tuple(name for name, _ in rows), note, void
    )


def _by_values(
    surveys: Sequence[Survey], values: Sequence[int], classes: ClassTable | None, bits: str
) -> Meaning | None:
    """Read each value as a class: two values as background and foreground if the first is 0."""
    void = frozenset((IGNORE,)) if _ignores(values) else frozenset[int]()
    class_values = [value for value in values if value not in void]
    tail = ", and 255 is ignored" if void else ""
    if len(class_values) > MAX_CLASSES or not class_values:
        return None
    if not (_in_voc_folder(surveys) and _has_voc_palette(surveys, class_values)):
        if (class_values[0] == 0 and len(class_values) <= 2) or class_values in ([255], [1]):
            return _binary(class_values, void, classes, bits + ":", tail)
        names = tuple(BACKGROUND if value == 0 else str(value) for value in class_values)
    else:
        class_values, names = list(range(len(VOC_CLASSES))), VOC_CLASSES
    held = f"{len(class_values)} ids from {class_values[0]} to {class_values[-1]}"
    note = f"masks hold {held}{bits}: each is read as a class{tail}"
    return Meaning(ValueTable(tuple(class_values), tuple(range(len(class_values)))), names, note, void)


def _binary(values: Sequence[int], void: frozenset[int], classes: ClassTable | None, bits: str, tail: str) -> Meaning:
    """Read one or two values as background, 0, and foreground."""
    names: tuple[str, ...] = classes.names if classes and len(classes.names) == 2 else BINARY
    held = " and ".join(map(str, values))
    note = f"masks hold {held}{bits} read as {names[0]} and {names[1]}{tail}"
    return Meaning(ValueTable((0, values[-1] or 1), (0, 1)), names, note, void)


def _has_voc_palette(surveys: Sequence[Survey], values: Sequence[int]) -> bool:
    """Return whether all values are ids of Pascal VOC and have its colours in the palettes."""
    if values[-1] >= len(VOC_CLASSES) or not all(survey.mode == PALETTE for survey in surveys):
        return False
    palettes = [dict(enumerate(survey.palette)) for survey in surveys]
    return all(palette.get(value, voc_colour(value)) == voc_colour(value) for palette in palettes for value in values)
