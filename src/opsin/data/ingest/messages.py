"""The text of a receipt: a short form that fits on a screen, most important first, and a complete one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from opsin.data.ingest.findings import Duplicates, Findings
from opsin.data.items import SPLITS, FileProblem
from opsin.tasks.annotations import Problem

MAX_CLASSES = 9
"""Classes listed in the short form: the largest ones and the three smallest."""

MAX_NAMES = 2
"""Files listed for each finding in the short form."""

MAX_GROUP = 4
"""Images named in a group of duplicates in the short form."""

LEGEND = " (= the same file, ≈ near-duplicate)"

MIN_IMBALANCE = 3.0
"""Ratio of the largest to the smallest class from which imbalance is mentioned."""


def text(receipt: Findings, full: bool) -> str:
    """Return the lines of the receipt, without a line end after the last one."""
    return "\n".join([*_head(receipt), "", *_counts(receipt, full), *_findings(receipt, full)])


def _head(receipt: Findings) -> Iterator[str]:
    classes, seconds = len(receipt.totals), receipt.seconds
    speed = f", {receipt.images / seconds:,.0f} per second" if seconds and not receipt.cached else ""
    cached_note = f", {receipt.cached:,} of them cached" if receipt.cached else ""
    time = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
    subject = receipt.subject or f"{classes} classes"
    yield f"{receipt.source}: {receipt.images:,} {receipt.nouns[1]} of {subject}, in {time}{speed}{cached_note}"
    if receipt.form:
        yield f"Annotated for {receipt.task}: {receipt.form}; --task classification reads folders as classes instead."
    channels, height, width = receipt.shape
    used_as = receipt.used_as or f"{height} × {width}, {'grey' if channels == 1 else 'colour'}"
    yield f"Used as {used_as}.{_sizes(receipt)}"
    yield from _range(receipt)
    yield f"Splits: {receipt.split_note}."


def _range(receipt: Findings) -> Iterator[str]:
    """Yield a line about the conversion of pixels with more than eight bits to bytes."""
    if receipt.pixel_range is None or not receipt.high_depth:
        return
    types = ", ".join(f"{count:,} of {type}" for type, count in receipt.high_depth.items())
    low, high = (value_text(value) for value in receipt.pixel_range)
    line = f"Pixel range: {low} is black and {high} white in images with more than 8 bits ({types})."
    if receipt.clipped:
        line += f" {receipt.clipped:,} of them exceed this range and are clipped."
    if any("float" in type for type in receipt.high_depth) and any("int" in type for type in receipt.high_depth):
        line += " Their types differ, so they may use different scales."
    yield line


def value_text(value: float) -> str:
    """Return a pixel value as text: integers with commas, fractions with four digits."""
    return f"{int(value):,}" if value == int(value) else f"{value:.4g}"


def _sizes(receipt: Findings) -> str:
    if receipt.sizes is None or receipt.sizes.different == 1:
        return ""
    smallest, median, largest = (
        f"{h} × {w}" for h, w in (receipt.sizes.smallest, receipt.sizes.median, receipt.sizes.largest)
    )
    return f" The files have {smallest} to {largest} pixels (rows × columns), median {median}."


def _counts(receipt: Findings, full: bool) -> Iterator[str]:
    """Yield a table with a row for each class and a column for each split."""
    names = list(receipt.totals)
    selection = names if full or len(names) <= MAX_CLASSES + 1 else [*names[: MAX_CLASSES - 3], "", *names[-3:]]
    table = receipt.counts
    titles = {name: f"{name} ({count:,} in all)" for name, count in receipt.annotations.items()}
    rows = [["", *SPLITS]]
    rows += [
        [titles.get(name, name), *(f"{table[split].get(name, 0):,}" for split in SPLITS)] if name else ["…", "", "", ""]
        for name in selection
    ]
    label = receipt.nouns[1] if receipt.form else "total"
    rows.append([label, *(f"{receipt.split_sizes.get(split, 0):,}" for split in SPLITS)])
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield ("  " + "   ".join(cells)).rstrip()


def _findings(receipt: Findings, full: bool) -> Iterator[str]:
    """Yield the problems and possible problems of the data."""
    totals, (one, many) = receipt.totals, receipt.nouns
    if receipt.imbalance >= MIN_IMBALANCE:
        largest, smallest = next(iter(totals)), list(totals)[-1]
        yield f"\nImbalanced: {largest} has {receipt.imbalance:.1f} times as many {many} as {smallest}."
    yield from _classes(f"without a usable {one}, left out", receipt.empty_classes, full)
    yield from _classes(f"with a single {one}, which is used for training only", receipt.single_image_classes, full)
    for note in receipt.notes:
        yield f"\n{note}"
    problems = [f"{problem.name}: {problem.reason}" for problem in receipt.problems]
    yield from _list(f"that cannot be used, left out{_kinds(receipt.problems)}", "file", "files", problems, full)
    faults = [f"{problem.name}: {problem.reason}" for problem in receipt.annotation_problems]
    kinds = _kinds(receipt.annotation_problems)
    yield from _list(f"of annotations, which are left out{kinds}", "problem", "problems", faults, full)
    remarks = [f"{remark.name}: {remark.left_out}" for remark in receipt.remarks]
    yield from _list("with content that is ignored", "file", "files", remarks, full)
    leaks = [_group(group, "split", full) for group in receipt.leaks]
    yield from _list(f"of the same {one} in several splits, a leak{LEGEND}", "group", "groups", leaks, full)
    conflicts = [_group(group, "label", full) for group in receipt.conflicts]
    yield from _list(f"of the same {one} with several labels{LEGEND}", "group", "groups", conflicts, full)
    harmless = [_group(g, "", full) for g in receipt.duplicates if len(g.splits) == 1 and len(g.labels) == 1]
    where = "one split" if receipt.form else "one class and split"
    yield from _list(f"of the same {one} within {where}{LEGEND}", "group", "groups", harmless, full)
    if not receipt.compared:
        yield f"\nToo many {many} are too similar to compare all pairs; only exact duplicates were searched for."
    if not (problems or faults or receipt.duplicates or receipt.empty_classes):
        yield f"\nEvery file can be read, and no {one} occurs twice."


def _kinds(problems: Sequence[FileProblem | Problem]) -> str:
    """Return `: 20 × damaged, 3 × empty` if there are several kinds of problems."""
    kinds = Counter(problem.kind for problem in problems)
    return ": " + ", ".join(f"{count:,} × {kind}" for kind, count in kinds.most_common()) if len(kinds) > 1 else ""


def _group(group: Duplicates, key: str, full: bool) -> str:
    """Return the names of a group, each with its split or label (`key`), joined by `=` or `≈`.

    In the short form, one image of each split or label is named first, and only a few are.
    """
    sign = " = " if group.kind == "exact" else " ≈ "
    members = list(group.members)
    if not full and len(members) > MAX_GROUP:
        seen = {getattr(member, key or "split"): member for member in reversed(members)}
        firsts = [member for member in members if member in seen.values()]
        members = [*firsts, *(member for member in members if member not in firsts)][:MAX_GROUP]
    names = [f"{m.name} ({getattr(m, key)})" if key else m.name for m in members]
    more = len(group.members) - len(members)
    return sign.join(names) + (f" and {more:,} more" if more else "")


def _classes(description: str, names: Sequence[str], full: bool) -> Iterator[str]:
    """Yield a line with the number of classes and their names."""
    if names:
        selection = names if full else names[:MAX_CLASSES]
        ellipsis = ", …" if len(selection) < len(names) else ""
        yield f"\n{_number(len(names), 'class', 'classes')} {description}: {', '.join(selection)}{ellipsis}"


def _list(description: str, singular: str, plural: str, names: Iterable[str], full: bool) -> Iterator[str]:
    """Yield a line with the number of entries, and then their names."""
    entries = list(names)
    if not entries:
        return
    yield f"\n{_number(len(entries), singular, plural)} {description}"
    selection = entries if full or len(entries) <= MAX_NAMES + 1 else entries[:MAX_NAMES]
    for name in selection:
        yield f"  {name}"
    if len(selection) < len(entries):
        yield f"  … and {len(entries) - len(selection):,} more"


def _number(count: int, singular: str, plural: str) -> str:
    return f"{count:,} {singular if count == 1 else plural}"
