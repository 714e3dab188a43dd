"""A receipt as lines of text: what matters first, on a screenful; or everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from opsin.data.items import SPLITS, FileProblem

if TYPE_CHECKING:
    from opsin.data.ingest.receipt import Duplicates, Receipt

MAX_CLASSES = 9
"""So many classes have a line of their own on a screen: the largest and the smallest; the whole text has all."""

MAX_NAMES = 2
"""So many files of each kind of finding are named on a screen."""

LEGEND = " (= the same file, ≈ alike)"

MIN_IMBALANCE = 3.0
"""From this ratio of the largest class to the smallest on, imbalance is pointed out."""


def text(receipt: Receipt, full: bool) -> str:
    """Lines with line ends between them, and none at the end."""
    return "\n".join([*_head(receipt), "", *_counts(receipt, full), *_findings(receipt, full)])


def _head(receipt: Receipt) -> Iterator[str]:
    classes, seconds = len(receipt.totals), receipt.seconds
    speed = f", {receipt.images / seconds:,.0f} a second" if seconds and not receipt.cached else ""
    kept = f", {_number(receipt.cached, 'of them', 'of them')} known from before" if receipt.cached else ""
    time = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
    yield f"{receipt.source}: {receipt.images:,} images of {classes} classes, in {time}{speed}{kept}"
    channels, height, width = receipt.shape
    yield f"Used as {height} × {width}, {'grey' if channels == 1 else 'colour'}.{_sizes(receipt)}"
    yield from _range(receipt)
    yield f"Splits: {receipt.split_note}."


def _range(receipt: Receipt) -> Iterator[str]:
    """How numbers of more than eight bits became bytes."""
    if receipt.pixel_range is None or not receipt.high_depth:
        return
    kinds = ", ".join(f"{count:,} of {kind}" for kind, count in receipt.high_depth.items())
    low, high = (value_text(value) for value in receipt.pixel_range)
    line = f"Pixel range: {low} is black and {high} white in images of more than 8 bits ({kinds})."
    if receipt.clipped:
        line += f" {receipt.clipped:,} of them go beyond it, and are cut off there."
    if any("float" in kind for kind in receipt.high_depth) and any("int" in kind for kind in receipt.high_depth):
        line += " They are of different kinds, which may be meant on different scales."
    yield line


def value_text(value: float) -> str:
    """A pixel's value: whole numbers with commas, others with a few digits."""
    return f"{int(value):,}" if value == int(value) else f"{value:.4g}"


def _sizes(receipt: Receipt) -> str:
    if receipt.sizes is None or receipt.sizes.different == 1:
        return ""
    small, median, large = (
        f"{h} × {w}" for h, w in (receipt.sizes.smallest, receipt.sizes.median, receipt.sizes.largest)
    )
    return f" The files have {small} to {large} pixels (rows × columns), half of them {median} at most."


def _counts(receipt: Receipt, full: bool) -> Iterator[str]:
    """A table: a row a class, a column a part."""
    totals = receipt.totals
    names = list(totals)
    shown = names if full or len(names) <= MAX_CLASSES + 1 else [*names[: MAX_CLASSES - 3], "", *names[-3:]]
    table = receipt.counts
    rows = [["", *SPLITS]]
    rows += [
        [name, *(f"{table[part].get(name, 0):,}" for part in SPLITS)] if name else ["…", "", "", ""] for name in shown
    ]
    rows.append(["total", *(f"{sum(table[part].values()):,}" for part in SPLITS)])
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield ("  " + "   ".join(cells)).rstrip()


def _findings(receipt: Receipt, full: bool) -> Iterator[str]:
    """What is wrong, or may be."""
    totals = receipt.totals
    if receipt.imbalance >= MIN_IMBALANCE:
        large, small = next(iter(totals)), list(totals)[-1]
        yield f"\nUneven: {large} has {receipt.imbalance:.1f} times as many images as {small}."
    yield from _classes("without a usable image, left out", receipt.empty_classes, full)
    yield from _classes("with one image, trained on but not measured", receipt.single_image_classes, full)
    for note in receipt.notes:
        yield f"\n{note}"
    problems = [f"{problem.name}: {problem.reason}" for problem in receipt.problems]
    yield from _listed(f"that cannot be used, left out{_kinds(receipt.problems)}", "file", "files", problems, full)
    remarks = [f"{remark.name}: {remark.left_out}" for remark in receipt.remarks]
    yield from _listed("of which something is left out", "file", "files", remarks, full)
    leaks = [_group(group, "split") for group in receipt.leaks]
    yield from _listed(f"of the same image in several parts, a leak{LEGEND}", "group", "groups", leaks, full)
    conflicts = [_group(group, "label") for group in receipt.conflicts]
    yield from _listed(f"of the same image with several labels{LEGEND}", "group", "groups", conflicts, full)
    others = [_group(g, "") for g in receipt.duplicates if len(g.splits) == 1 and len(g.labels) == 1]
    yield from _listed(f"of the same image, of one class and part{LEGEND}", "group", "groups", others, full)
    if not receipt.compared:
        yield "\nToo many images look too alike to compare them all; only files that are equal were looked for."
    if not (problems or receipt.duplicates or receipt.empty_classes):
        yield "\nEvery file can be read, and no image is there twice."


def _kinds(problems: Sequence[FileProblem]) -> str:
    """`: 20 × damaged, 3 × empty`, where there are several kinds."""
    kinds = Counter(problem.kind for problem in problems)
    return ": " + ", ".join(f"{count:,} × {kind}" for kind, count in kinds.most_common()) if len(kinds) > 1 else ""


def _group(group: Duplicates, key: str) -> str:
    """The names of a group, each with its part or label; equal files are `=`, others `≈`."""
    sign = " = " if group.kind == "exact" else " ≈ "
    names = [f"{m.name} ({getattr(m, key)})" if key else m.name for m in group.members]
    return sign.join(names)


def _classes(what: str, names: Sequence[str], full: bool) -> Iterator[str]:
    """A line that counts classes and names them."""
    if names:
        shown = names if full else names[:MAX_CLASSES]
        more = ", …" if len(shown) < len(names) else ""
        yield f"\n{_number(len(names), 'class', 'classes')} {what}: {', '.join(shown)}{more}"


def _listed(what: str, one: str, several: str, names: Iterable[str], full: bool) -> Iterator[str]:
    """A line that counts them, and their names below it."""
    found = list(names)
    if not found:
        return
    yield f"\n{_number(len(found), one, several)} {what}"
    shown = found if full or len(found) <= MAX_NAMES + 1 else found[:MAX_NAMES]
    for name in shown:
        yield f"  {name}"
    if len(shown) < len(found):
        yield f"  … and {len(found) - len(shown):,} more"


def _number(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
