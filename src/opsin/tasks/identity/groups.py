"""Groups of identities, such as by age or sex, and how the errors differ between them.

The file groups.csv next to the folders of identities has a row for each identity: its name, and its group by each
column, which the header names. Only pairs inside a group are compared, as in Grother, Ngan & Hanaoka, "Face recognition
vendor test, part 3: demographic effects", NIST IR 8280, 2019: people resemble those of their own group most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.tasks.annotations import Files, Problem
from opsin.tasks.identity.identification import Rate
from opsin.tasks.identity.pairs import Pairs
from opsin.tasks.problems import INVALID_ENTRY, UNREADABLE_FILE, AnnotationFault, printable
from opsin.tasks.tables import table

FILE = "groups.csv"
FIRST_COLUMN = "identity"

Columns = Mapping[str, Sequence[str]]
"""For each column of the file the group of every identity, in the order of the data's names; "" if it has none."""

MIN_PAIRS = 30
"""Pairs of a kind in a group from which its errors are stated."""


@dataclass(frozen=True)
class GroupRates:
    """The errors on pairs inside a group, at one threshold; None where it has too few pairs of a kind."""

    column: str
    group: str
    identities: int
    false_accepts: Rate | None
    false_rejects: Rate | None

    def to_data(self) -> dict[str, object]:
        """Return it for JSON."""
        rates = {"false_accepts": self.false_accepts, "false_rejects": self.false_rejects}
        return {
            "column": self.column, "group": self.group, "identities": self.identities,
            **{name: rate.to_data() if rate else None for name, rate in rates.items()},
        }  # fmt: skip


def read_groups(files: Files, names: Sequence[str]) -> tuple[Columns, list[Problem], list[str]]:
    """Return the groups of the identities with these names, rows that cannot be used, and notes for the receipt."""
    if FILE not in files.paths:
        return {}, [], []
    try:
        content = table.parse(FILE, files.read(FILE))
    except (AnnotationFault, DataError) as fault:
        return {}, [Problem(FILE, str(fault), UNREADABLE_FILE)], []
    if content is None or content.titles[0].lower() != FIRST_COLUMN or len(content.titles) < 2:
        reason = f"needs a header: {FIRST_COLUMN}, and the name of a column for each kind of group"
        return {}, [Problem(FILE, reason, INVALID_ENTRY)], []
    places = {name: number for number, name in enumerate(names)}
    columns, problems = {title: [""] * len(names) for title in content.titles[1:]}, []
    for row in content.rows:
        number = places.get(row.cell(0))
        if number is None:
            reason = f"there is no folder '{printable(row.cell(0))}'"
            problems.append(Problem(content.place(row.line), reason, INVALID_ENTRY))
            continue
        for place, title in enumerate(content.titles[1:], start=1):
            columns[title][number] = row.cell(place)
    notes = [_note(title, groups) for title, groups in columns.items()]
    return {title: tuple(groups) for title, groups in columns.items()}, problems, notes


def _note(title: str, groups: Sequence[str]) -> str:
    known = sorted({group for group in groups if group})
    without = f"; {groups.count(''):,} identities have none" if "" in groups else ""
    return f"Groups by {printable(title)}: {listed(list(map(printable, known)), 3, conjunction='and')}{without}."


def group_rates(
    columns: Columns, identities: NDArray[np.int32], pairs: Pairs, accepted: NDArray[np.bool_]
) -> list[GroupRates]:
    """Return the errors of each group: which pairs of images with these identities were `accepted` as the same."""
    first, second = identities[pairs.first], identities[pairs.second]
    rates = []
    for column, groups in columns.items():
        names, number = np.unique(np.array(groups, object).astype(str), return_inverse=True)
        for place, name in enumerate(names.tolist()):
            if not name:
                continue
            inside = (number[first] == place) & (number[second] == place)
            members = np.unique(identities[number[identities] == place])
            rates.append(
                GroupRates(
                    column, name, len(members), _rate(accepted, first, inside & ~pairs.same),
                    _rate(~accepted, first, inside & pairs.same),
                )
            )  # fmt: skip
    return rates


def _rate(wrong: NDArray[np.bool_], owner: NDArray[np.int32], chosen: NDArray[np.bool_]) -> Rate | None:
    return Rate.of(wrong[chosen], owner[chosen]) if chosen.sum() >= MIN_PAIRS else None
