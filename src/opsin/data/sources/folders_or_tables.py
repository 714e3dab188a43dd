"""Decide whether class folders or a table give the classes, if there are both."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from opsin.base.errors import DataError
from opsin.base.path_words import has_sample_ending
from opsin.data.items import printable
from opsin.data.sources.label_tables import (
    LabelTables,
    TableFile,
    is_submission,
    no_images_message,
    tables_in,
    unlisted,
)
from opsin.data.sources.layout import Listing, by_folders
from opsin.data.sources.names import INPUT_FOLDERS, OTHER_FOLDERS, quoted_list, split_named
from opsin.data.sources.path_resolver import Store


def folders_or_tables(
    folders: Listing,
    paths: Sequence[str],
    read_table_file: Callable[[str], TableFile],
    store: Store,
    where: str,
    prefix: str = "",
) -> Listing:
    """Return the items of the tables among the `paths`, or those of the class folders.

    Class folders take precedence, unless a table lists more images than they hold, or as many if the folders are only
    pieces of one: images_1, images_2. Next to a table, folders called images and masks are not classes. Messages begin
    with `where`, names of items with `prefix`.
    """
    tables = tables_in(paths)
    if folders.has_classes:
        outermost = min((path.count("/") for path in paths), default=0)
        tables = [table for table in tables if table.count("/") == outermost]
    submissions = [table for table in tables if is_submission(table)]
    tables = [table for table in tables if table not in submissions]
    if submissions and not tables and not folders.has_classes:
        raise DataError(
            f"{where}{printable(submissions[0])} only shows the format of submissions; put the table with the "
            "labels of the training images next to it"
        )
    listing = None
    if tables:
        try:
            listing = LabelTables(
                [read_table_file(table) for table in tables], store, where.rstrip("/"), prefix
            ).arrange()
            if not listing.items and len(tables) == 1 and not folders.has_classes:
                raise DataError(no_images_message(where + tables[0], listing.problems))
        except DataError:
            if not folders.has_classes:
                raise
    if listing is None or not listing.items:
        return _checked_classes(folders, where)
    if folders.has_classes:
        images = sum(has_sample_ending(item.name) for item in folders.items)
        min_items = 1 if _name_kinds(folders) else images + (0 if _differ_by_number(folders) else 1)
        if len(listing.items) < min_items:
            groups = {
                store.file(place): item.group for place, item in zip(listing.positions, listing.items, strict=True)
            }
            _group(folders, paths, groups)
            return folders
    base = posixpath.commonpath([posixpath.dirname(table) for table in tables])
    note = unlisted(paths, {store.file(position) for position in listing.positions}, base)
    remark = (
        f"Not used, because they only hold answers: {quoted_list(map(printable, submissions))}." if submissions else ""
    )
    return replace(listing, notes=[*listing.notes, *filter(None, (remark, note))])


def _group(folders: Listing, paths: Sequence[str], groups: Mapping[str, str]) -> None:
    """Give the items of class folders the groups that a table next to them lists for their paths."""
    if any(groups.values()):
        folders.items[:] = [
            replace(item, group=groups.get(paths[place], ""))
            for place, item in zip(folders.positions, folders.items, strict=True)
        ]


def has_class_folders(paths: Sequence[str], folders: Sequence[str]) -> bool:
    """Return whether folders are named after classes, at least two, and not after kinds of images."""
    listing = by_folders(paths, folders=folders)
    return listing.has_classes and not _name_kinds(listing) and not _differ_by_number(listing)


def _name_kinds(folders: Listing) -> bool:
    """Return whether the folders are named after kinds of images, such as images and masks, and not after classes."""
    return {
        item.label.lower() for item in folders.items if not split_named(item.label)
    } <= INPUT_FOLDERS | OTHER_FOLDERS


def _differ_by_number(folders: Listing) -> bool:
    """Return whether the names of the folders are one word with different numbers: part_1, part_2."""
    words = {re.sub(r"\d+", "", item.label) for item in folders.items}
    return len(words) == 1 and bool(words.pop().strip(" _-."))


def _checked_classes(folders: Listing, where: str) -> Listing:
    """Raise `DataError` if the folders are splits without classes: train/1.jpg, test/2.jpg."""
    labels = {item.label for item in folders.items}
    if len(labels) > 1 and len({split_named(label) for label in labels} - {None}) == len(labels):
        raise DataError(
            f"{where.rstrip('/')} holds the splits {', '.join(sorted(labels))} without class folders in them, and no "
            "table of labels next to them; put each class's images into a separate folder: train/cat/1.jpg, …"
        )
    return folders
