"""Read the segmentation data of a folder or an archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opsin.base.errors import DataError
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem
from opsin.tasks.segmentation import class_tables, coco, meaning, names, pixels
from opsin.tasks.segmentation.class_tables import ClassTable
from opsin.tasks.segmentation.coding import IGNORE
from opsin.tasks.segmentation.listings import by_table, table_of, with_splits
from opsin.tasks.segmentation.meaning import Meaning
from opsin.tasks.segmentation.pairs import Pair, Pairs, by_name
from opsin.tasks.segmentation.problems import (
    BAD_TABLE,
    DAMAGED_MASK,
    EMPTY_MASK,
    MASK_SIZE,
    UNKNOWN_COLOUR,
    UNKNOWN_ID,
    Count,
    MaskError,
)  # fmt: skip
from opsin.tasks.segmentation.sizes import checked_size
from opsin.tasks.segmentation.survey import Survey, share_of
from opsin.tasks.segmentation.targets import MaskFile

MAX_EXAMPLES = 5
"""Values that a problem lists."""


def read(files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
    """Return the images with their masks, or None if the files hold no masks.

    Forms: a table with columns of images and masks, images and masks of the same name in folders such as "images" and
    "masks" or with suffixes such as "_mask", and COCO's JSON. `image_size` returns height and width of an image, or
    None if it cannot be read. Files and annotations that cannot be used are among the problems. With `columns`, only a
    table counts whose masks are in a column of that name.
    """
    problems: list[Problem] = []
    if columns:
        table = table_of(files, problems, columns)
        found = table and table.mask is not None
        return _annotations(files, image_size, by_table(files, table), problems) if table and found else None
    pairs = _pairs(files, problems)
    if pairs is None:
        regions = coco.read(files, image_size, problems)
        if regions is None:
            return None
        return Annotations(
            regions.images,
            regions.settings,
            (*problems, *regions.problems),
            regions.notes,
            regions.form,
            regions.counts,
        )
    return _annotations(files, image_size, pairs, problems)


def _pairs(files: Files, problems: list[Problem]) -> Pairs | None:
    table = table_of(files, problems)
    if table and table.mask is not None:
        return by_table(files, table)
    pairs = by_name(files.paths)
    return with_splits(files, pairs, table) if pairs else None


def _annotations(files: Files, image_size: ImageSize, pairs: Pairs, problems: list[Problem]) -> Annotations:
    problems.extend(pairs.problems)
    surveys = list(_surveys(files, image_size, pairs.pairs, problems))
    classes = _class_table(files, problems)
    decision = meaning.decide([survey for _, survey in surveys], classes) if surveys else None
    if decision is None:
        problems.extend(_undecided(surveys))
        return Annotations((), {"classes": ()}, problems, pairs.notes, pairs.form)
    images, counts = [], dict.fromkeys(decision.classes, 0)
    for pair, survey in surveys:
        pixel_counts = decision.counts(survey)
        if unknown := decision.unknown(survey):
            problems.append(_unknown(survey, unknown, decision))
        if not set(pixel_counts) - {IGNORE}:
            problems.append(Problem(survey.path, "no pixel of the mask counts", EMPTY_MASK))
            continue
        for number in set(pixel_counts) - {IGNORE}:
            counts[decision.classes[number]] += 1
        target = MaskFile(survey.path, survey.size, decision.table)
        images.append(AnnotatedImage(pair.image, target, pair.split))
    notes = [*pairs.notes, f"{decision.note[0].upper()}{decision.note[1:]}."]
    return Annotations(images, {"classes": decision.classes}, problems, notes, pairs.form, counts)


def _surveys(
    files: Files, image_size: ImageSize, pairs: Sequence[Pair], problems: list[Problem]
) -> Iterator[tuple[Pair, Survey]]:
    """Yield the values of each mask that can be decoded and has the size of its image."""
    for pair in pairs:
        size = checked_size(pair.image, image_size)
        if isinstance(size, Problem):
            problems.append(size)
            continue
        try:
            mask = pixels.decode(files.read(pair.mask))
        except MaskError as error:
            problems.append(error.problem(pair.mask))
        except DataError as error:
            problems.append(Problem(pair.mask, str(error), DAMAGED_MASK))
        else:
            if mask.size == size:
                yield pair, Survey.of(pair.mask, mask)
            else:
                reason = "{} × {} pixels, but its image {} has {} × {}".format(
                    *mask.size, names.printable(pair.image), *size
                )
                problems.append(Problem(pair.mask, reason, MASK_SIZE))


def _class_table(files: Files, problems: list[Problem]) -> ClassTable | None:
    for path in class_tables.candidates(files.paths)[:10]:
        try:
            return class_tables.parse(path, files.read(path))
        except DataError as error:
            problems.append(Problem(path, str(error), BAD_TABLE))
    return None


def _unknown(survey: Survey, values: dict[int, int], decision: Meaning) -> Problem:
    colour = decision.table.colour
    examples = [f"#{value:06x}" if colour else str(value) for value in list(values)[:MAX_EXAMPLES]]
    more = f" and {len(values) - MAX_EXAMPLES:,} more" if len(values) > MAX_EXAMPLES else ""
    what = "colours" if colour else "ids"
    reason = f"{Count(sum(values.values()))} with {what} that no class has ({', '.join(examples)}{more}) are ignored"
    return Problem(survey.path, reason, UNKNOWN_COLOUR if colour else UNKNOWN_ID)


def _undecided(surveys: Sequence[tuple[Pair, Survey]]) -> list[Problem]:
    """Return the problems of masks whose values cannot be classes."""
    if surveys and share_of([survey for _, survey in surveys], [IGNORE]) == 1:
        return [Problem(survey.path, "no pixel of the mask counts", EMPTY_MASK) for _, survey in surveys]
    reason = "all masks together hold too many different values for classes, and no table names them"
    return [
        Problem(survey.path, reason, UNKNOWN_COLOUR if survey.mode == "colour" else UNKNOWN_ID) for _, survey in surveys
    ]
