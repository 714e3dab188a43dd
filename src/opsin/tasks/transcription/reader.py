"""Read what is said in recordings: a column of a table, or a text file next to each recording."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.base.path_words import SOUND_ENDINGS, TEXT_ENDINGS
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem, kind_of
from opsin.tasks.file_names import folder_split
from opsin.tasks.problems import CONTRADICTION, INVALID_LABEL, UNREADABLE_FILE, printable
from opsin.tasks.tables.images import ImageTable, TableImages, choose, unused_note
from opsin.tasks.tables.names import head
from opsin.tasks.text import decode

TABLE_FORM, FILES_FORM = "table of transcripts", "text files next to the recordings"

NAMES = frozenset(
    "text transcript transcription transcripts sentence utterance words spoken said phrase normalizedtext".split()
)
"""Names of columns of transcripts, in the form of `head`."""

MAX_WORDS = 200
"""With more different words, characters are learned: new words can then be spelled."""

MAX_LENGTH = 1000
"""The most labels in a transcript; longer ones are no transcripts of single recordings."""

MIN_SEVERAL = 0.3
"""The share of the cells with several words, of a column that is not called so, to be one of transcripts."""


def read(files: Files, image_size: ImageSize, names: Sequence[str] = ()) -> Annotations | None:
    """Return the recordings with transcripts; None if the files hold none.

    `names` is the column that the user wants. Raise `DataError` if no table has it.
    """
    if kind_of(files) != "sound":
        return None
    images = TableImages.of(files, image_size)
    if len(names) > 1:
        raise DataError(f"transcripts are in one column, not in {len(names)}; name one")
    tables, column = choose(images.tables, lambda table: _column(table, names))
    if tables:
        return _read_tables(images, tables, column)
    if names and images.tables:
        titles = listed((f"'{printable(title)}'" for title in images.tables[0].titles), 12)
        where = images.tables[0].table.path
        raise DataError(f"{where} has no column '{printable(names[0])}'; it has {titles}; name one")
    return _read_files(files)


def _column(table: ImageTable, names: Sequence[str]) -> tuple[int] | None:
    """Return the column of transcripts: the one that the user names, or that is called so, or that repeats words."""
    titles = {column: table.table.titles[column] for column in table.columns}
    if names:
        return next(((column,) for column, title in titles.items() if title.lower() == names[0].strip().lower()), None)
    called = [column for column, title in titles.items() if head(title) in NAMES]
    found = called or [column for column in titles if _has_transcripts(table.table.column(column))]
    return (found[0],) if found else None


def _has_transcripts(cells: Sequence[str]) -> bool:
    """Return whether cells hold words in an order that matters: they come in several orders, or again in one cell."""
    words = [cell.split() for cell in cells if cell]
    several = [each for each in words if len(each) > 1]
    if len(several) < max(2, MIN_SEVERAL * len(words)):
        return False
    again = sum(len({*each}) < len(each) for each in several)
    orders = Counter(tuple(sorted(each)) for each in {tuple(each) for each in several})
    return again > 0 or max(orders.values()) > 1


def _read_tables(images: TableImages, tables: Sequence[ImageTable], column: tuple[int]) -> Annotations:
    found: dict[str, tuple[str, str, str]] = {}
    for table in tables:
        for row, path, split in images.rows(table):
            place, text = table.table.place(row.line), " ".join(row.cell(column[0]).split())
            if len(text) > MAX_LENGTH:
                reason = f"has a transcript of {len(text):,} characters; the most are {MAX_LENGTH:,}"
                images.problems.append(Problem(place, reason, INVALID_LABEL))
                continue
            first, previous, _ = found.setdefault(path, (place, text, split))
            if previous != text:
                reason = f"gives {printable(path)} '{printable(text)}', but {first} gives '{printable(previous)}'; "
                images.problems.append(Problem(place, reason + "the first counts", CONTRADICTION))
    images.notes.extend(unused_note(images.tables, tables))
    images.note_unlisted({*found}, tables)
    annotated = [AnnotatedImage(path, text, split) for path, (_, text, split) in found.items()]
    return _annotations(annotated, images.problems, images.notes, TABLE_FORM)


def _read_files(files: Files) -> Annotations | None:
    """Return the recordings that have a text file of the same name."""
    texts = {posixpath.splitext(path)[0]: path for path in files.paths if path.lower().endswith(TEXT_ENDINGS)}
    problems, annotated = list[Problem](), list[AnnotatedImage]()
    for path in files.paths:
        text_file = texts.get(posixpath.splitext(path)[0])
        if not path.lower().endswith(SOUND_ENDINGS) or text_file is None:
            continue
        text = " ".join(decode(files.read(text_file)).split())
        if len(text) > MAX_LENGTH:
            reason = f"has {len(text):,} characters; a transcript has at most {MAX_LENGTH:,}"
            problems.append(Problem(text_file, reason, UNREADABLE_FILE))
        else:
            annotated.append(AnnotatedImage(path, text, folder_split(path)))
    return _annotations(annotated, problems, [], FILES_FORM) if annotated else None


def _annotations(
    images: Sequence[AnnotatedImage], problems: Sequence[Problem], notes: Sequence[str], form: str
) -> Annotations:
    """Return the result with the vocabulary: all words, or all characters if there are many different words."""
    counts = Counter(word for image in images for word in image.target.split())
    characters = len(counts) > MAX_WORDS
    if characters:
        notes = [*notes, f"There are {len(counts):,} different words, so characters are learned."]
        counts = Counter(character for image in images for character in image.target)
    rare = [word for word, count in counts.items() if count == 1]
    if rare:
        what = "characters" if characters else "words"
        notes = [*notes, f"Of the {what}, {len(rare):,} occur only once: {listed(map(printable, sorted(rare)), 5)}."]
    if silent := sum(not image.target for image in images):
        notes = [*notes, f"The transcript of {silent:,} recordings is empty: nothing is said in them."]
    settings = {"words": tuple(sorted(counts)), "characters": characters}
    return Annotations(images, settings, problems, notes, form, {word: counts[word] for word in sorted(counts)})
