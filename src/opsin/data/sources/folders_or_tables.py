"""Class folders or a table: which of them says the classes, where there are both."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from opsin.base.errors import DataError
from opsin.data.items import printable
from opsin.data.sources.label_tables import (
    LabelTables,
    TableFile,
    is_submission,
    no_images_message,
    tables_in,
    unlisted,
)
from opsin.data.sources.layout import Listing
from opsin.data.sources.names import INPUT_FOLDERS, OTHER_FOLDERS, has_image_ending, listed, split_named
from opsin.data.sources.path_resolver import Store


def folders_or_tables(
    folders: Listing,
    paths: Sequence[str],
    sheet: Callable[[str], TableFile],
    store: Store,
    where: str,
    prefix: str = "",
) -> Listing:
    """What the tables among the `paths` say, or else the `folders`. Messages begin with `where`, items with `prefix`.

    Class folders count if there are any, unless a table names more images than lie in them, or as many where the
    folders are but pieces of one: images_1, images_2. Beside a table, folders called images and masks are none.
    """
    tables = tables_in(paths)
    if folders.has_classes:
        outermost = min((path.count("/") for path in paths), default=0)
        tables = [table for table in tables if table.count("/") == outermost]
    forms = [table for table in tables if is_submission(table)]
    tables = [table for table in tables if table not in forms]
    if forms and not tables and not folders.has_classes:
        raise DataError(
            f"{where}{printable(forms[0])} only shows how answers are handed in; put the table of the training "
            "images' labels beside it"
        )
    made = None
    if tables:
        try:
            made = LabelTables([sheet(table) for table in tables], store, where.rstrip("/"), prefix).arrange()
            if not made.items and len(tables) == 1 and not folders.has_classes:
                raise DataError(no_images_message(where + tables[0], made.problems))
        except DataError:
            if not folders.has_classes:
                raise
    if made is None or not made.items:
        return _checked(folders, where)
    if folders.has_classes:
        images = sum(has_image_ending(item.name) for item in folders.items)
        least = 1 if _are_kinds(folders) else images + (0 if _are_pieces(folders) else 1)
        if len(made.items) < least:
            return folders
    base = posixpath.commonpath([posixpath.dirname(table) for table in tables])
    note = unlisted(paths, {store.file(position) for position in made.positions}, base)
    unused = f"Not used, as answers only: {listed(map(printable, forms))}." if forms else ""
    return replace(made, notes=[*made.notes, *filter(None, (unused, note))])


def _are_kinds(folders: Listing) -> bool:
    """Whether the class folders say what kind of images they hold, and no class: images, masks."""
    return {
        item.label.lower() for item in folders.items if not split_named(item.label)
    } <= INPUT_FOLDERS | OTHER_FOLDERS


def _are_pieces(folders: Listing) -> bool:
    """Whether the class folders differ by their numbers only, after a word: part_1, part_2."""
    words = {re.sub(r"\d+", "", item.label) for item in folders.items}
    return len(words) == 1 and bool(words.pop().strip(" _-."))


def _checked(folders: Listing, where: str) -> Listing:
    """`DataError` where the folders are parts of data without classes: train/1.jpg, test/2.jpg."""
    labels = {item.label for item in folders.items}
    if len(labels) > 1 and len({split_named(label) for label in labels} - {None}) == len(labels):
        raise DataError(
            f"{where.rstrip('/')} holds the parts {', '.join(sorted(labels))} without class folders in them and no "
            "table of labels beside them; put each class's images into a folder of its own: train/cat/1.jpg, …"
        )
    return folders
