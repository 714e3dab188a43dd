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
        seen = survey.colours if self.table.colour else survey
        ids = dict(zip(self.table.values, self.table.ids, strict=True))
        counts: dict[int, int] = {}
        for value, count in zip(seen.values, seen.counts, strict=True):
            number = ids.get(value, self.table.others)
            if self.table.threshold is not None:
                number = int(value >= self.table.threshold)
            counts[number] = counts.get(number, 0) + count
        return counts

    def unknown(self, survey: Survey) -> dict[int, int]:
        """Return the values of a mask that no class has, and the number of pixels with each."""
        if self.table.threshold is not None or self.table.others != IGNORE:
            return {}
        seen = survey.colours if self.table.colour else survey
        known = {*self.table.values} | self.void
        return {value: count for value, count in zip(seen.values, seen.counts, strict=True) if value not in known}


def decide(surveys: Sequence[Survey], classes: ClassTable | None = None) -> Meaning | None:
    """Return the meaning of the values; None if they cannot be classes, such as hundreds of colours."""
    if classes and classes.colours and _fits(surveys, classes.colours):
        return _by_colour_table(classes, classes.colours)
    if any(survey.mode == COLOUR and not survey.is_grey for survey in surveys) or not _one_palette(surveys):
        return _by_colours([survey.colours for survey in surveys], classes)
    if any(survey.mode == COLOUR for survey in surveys):
        return _as_colours(decide([s.colours.grey if s.colours.is_grey else s for s in surveys], classes))
    return _by_ids(surveys, classes)


def _fits(surveys: Sequence[Survey], colours: tuple[int, ...]) -> bool:
    """Return whether most pixels have colours of the table, and not only black."""
    seen = [survey.colours for survey in surveys]
    known = {*union(seen)} & {*colours}
    return bool(known - {0}) and share_of(seen, colours) > 0.5


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
    if len(values) == 2 and values[0] == 0:
        names = BINARY
    if _is_voc(values) and len(values) > 2:
        by_colour = {voc_colour(i): name for i, name in enumerate(VOC_CLASSES)}
        values = tuple(colour for colour in by_colour if colour in values)
        names = tuple(by_colour[colour] for colour in values)
    note = f"masks hold {len(colours)} colours, which no table names: each is read as a class"
    return Meaning(ValueTable(values, tuple(range(len(values))), colour=True), names, note, void)


def _is_voc(colours: Sequence[int]) -> bool:
    return {*colours} <= {voc_colour(i) for i in range(len(VOC_CLASSES))}


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
    kept = tuple(i for _, i in rows)
    void = (frozenset(ids) | {IGNORE}) - {*kept}
    note = f"masks hold ids: read as the {len(rows)} classes of {classes.path}"
    return Meaning(ValueTable(kept, tuple(range(len(kept)))), tuple(name for name, _ in rows), note, void)


def _by_values(
    surveys: Sequence[Survey], values: Sequence[int], classes: ClassTable | None, bits: str
) -> Meaning | None:
    """Read each value as a class: two values as background and foreground if the first is 0."""
    void = frozenset((IGNORE,)) if _ignores(values) else frozenset[int]()
    kept = [value for value in values if value not in void]
    tail = ", and 255 is ignored" if void else ""
    if len(kept) > MAX_CLASSES or not kept:
        return None
    if (kept[0] == 0 and len(kept) <= 2) or kept in ([255], [1]):
        bright = kept[-1] if kept[-1] else 1
        names: tuple[str, ...] = classes.names if classes and len(classes.names) == 2 else BINARY
        held = " and ".join(map(str, kept))
        return Meaning(ValueTable((0, bright), (0, 1)), names, f"masks hold {held}{bits}: read as {names[0]} and "
                       f"{names[1]}{tail}", void)  # fmt: skip
    names = _names(surveys, kept)
    if names == VOC_CLASSES:
        kept = list(range(len(VOC_CLASSES)))
    held = f"{len(kept)} ids from {kept[0]} to {kept[-1]}"
    note = f"masks hold {held}{bits}: each is read as a class{tail}"
    return Meaning(ValueTable(tuple(kept), tuple(range(len(kept)))), names, note, void)


def _names(surveys: Sequence[Survey], values: Sequence[int]) -> tuple[str, ...]:
    """Return those of Pascal VOC if the palette is its palette, else numbers."""
    palettes = [s for s in surveys if s.mode == PALETTE]
    if palettes and values[0] == 0 and values[-1] < len(VOC_CLASSES) and len(palettes) == len(surveys):
        used = {(v, s.palette[v] if v < len(s.palette) else -1) for s in palettes for v in s.values if v in values}
        if all(colour == voc_colour(value) for value, colour in used):
            return VOC_CLASSES
    return tuple(BACKGROUND if value == 0 else str(value) for value in values)
