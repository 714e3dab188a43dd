"""Errors by group: the file, the pairs that count, and the rates against a loop."""

from __future__ import annotations

import numpy as np

from opsin.tasks.identity import Identities, Identity
from opsin.tasks.identity.calibration import SameThreshold
from opsin.tasks.identity.evaluation import IdentityEvaluation, all_pairs
from tests.support import generator
from tests.tasks.memory_files import MemoryFiles, image_size, images

PEOPLE = images("Ann/1.jpg", "Ann/2.jpg", "Bo/1.jpg", "Bo/2.jpg", "Cy/1.jpg")


def test_the_file() -> None:
    text = "identity,age,origin\nAnn,young,north\nBo,old,south\nDan,old,north\n"
    result = Identity.read(MemoryFiles(PEOPLE, {"groups.csv": text}), image_size)
    assert result is not None
    assert result.settings["groups"] == {"age": ("young", "old", ""), "origin": ("north", "south", "")}
    assert [(p.name, p.reason) for p in result.problems] == [("groups.csv, line 4", "there is no folder 'Dan'")]
    assert result.notes[1] == "Groups by age: old and young; 1 identities have none."
    targets = Identity.load_targets(result.images, MemoryFiles(PEOPLE), (1, 1), result.settings)
    both = Identities.concatenate([targets.take(np.array([0])), targets.take(np.array([3]))])
    assert both.columns == result.settings["groups"] and both.numbers.tolist() == [0, 1]


def test_files_that_name_no_groups() -> None:
    for text, reason in (
        ("Ann,young\nBo,old\n", "needs a header: identity, and the name of a column"),
        ("", "needs a header"),
        (None, "cannot be read"),
    ):
        result = Identity.read(MemoryFiles(PEOPLE, {"groups.csv": text}), image_size)
        assert result is not None and result.settings["groups"] == {}
        (problem,) = result.problems
        assert problem.name == "groups.csv" and reason in problem.reason


def evaluation(columns: dict[str, tuple[str, ...]]) -> IdentityEvaluation:
    rng = generator("by group")
    numbers = np.repeat(np.arange(24, dtype=np.int32), 4)
    vectors = np.eye(24, 8)[numbers % 8] + 0.6 * rng.standard_normal((len(numbers), 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    names = tuple(f"id{number}" for number in range(24))
    calibration = SameThreshold(0.5, 10.0, -5.0, 1, 1, 0.0, 0.0)
    targets = Identities(numbers, names, columns)
    return IdentityEvaluation(vectors, targets, all_pairs(numbers), calibration=calibration)


def test_rates_are_those_of_pairs_inside_a_group() -> None:
    groups = tuple("ab"[number % 2] if number < 22 else "cc"[0] if number == 22 else "" for number in range(24))
    result = evaluation({"kind": groups})
    assert [(rates.group, rates.identities) for rates in result.groups] == [("a", 11), ("b", 11), ("c", 1)]
    for rates in result.groups[:2]:
        wrong: dict[bool, list[bool]] = {True: [], False: []}
        for first, second, similarity in zip(result.pairs.first, result.pairs.second, result.similarities, strict=True):
            owners = result.targets.numbers[[first, second]]
            if all(groups[owner] == rates.group for owner in owners):
                same = bool(owners[0] == owners[1])
                wrong[same].append(bool((similarity >= 0.5) != same))
        assert rates.false_accepts is not None and rates.false_rejects is not None
        assert (rates.false_accepts.share, rates.false_accepts.count) == (np.mean(wrong[False]), len(wrong[False]))
        assert (rates.false_rejects.share, rates.false_rejects.count) == (np.mean(wrong[True]), len(wrong[True]))
        assert rates.false_accepts.low <= rates.false_accepts.share <= rates.false_accepts.high
    assert result.groups[2].false_accepts is None and result.groups[2].false_rejects is None  # too few pairs


def test_what_a_report_says() -> None:
    result = evaluation({"kind": ("a", "b") * 12})
    (section,) = [section for section in result.sections() if section.heading == "By group"]
    assert section.table is not None and [row[1] for row in section.table.rows] == ["a", "b"]
    assert [rates["group"] for rates in result.to_data()["groups"]] == ["a", "b"]
    without = evaluation({})
    assert "groups" not in without.to_data()
    assert "By group" not in [section.heading for section in without.sections()]
