"""`opsin explore`: groups, near-duplicates and outliers in a folder of images, as one page."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import StatusLine, print_heading, print_json, print_table, print_warning
from opsin.base.formatting import exact_size
from opsin.exploration.api import Exploration, explore
from opsin.exploration.links import check_new_folder
from opsin.exploration.page import EXPLORE
from opsin.inspection.page.target import check_name, check_target

MAX_NAMED = 5
"""Files that cannot be read and are named on the terminal."""


def run(
    folder: str, model: str | None, groups: int | None, out: str, label: str | None, cache: bool, as_json: bool
) -> int:
    """Write the page to `out` and the class folders to `label`, and say what was found."""
    check_name(out)
    check_target(Path(out), EXPLORE)
    if label is not None:
        check_new_folder(Path(label))
    with StatusLine() as line:
        network = None if model is None else open_model(model)
        found = explore(
            folder, model=network, groups=groups, cache=cache, on_progress=lambda text: line.show(f"{text} …")
        )
        if not as_json:
            found.save(out)
        are_links = found.label(label) if label is not None else True
    _warn(found)
    if as_json:
        print_json(found.to_data())
        return 0
    _print(found)
    if label is not None:
        content = "links to" if are_links else "copies of"
        typer.echo(f"{label} has a class folder for each group, with {content} its images. Rename the folders, then:")
        typer.echo(f"    opsin train {label}")
    typer.echo(f"{out} is the page, {exact_size(os.path.getsize(out))}. Open it in a browser; it needs no network.")
    return 0


def _print(found: Exploration) -> None:
    print_heading(str(found))
    typer.echo(found.choice)
    rows = [(group.name, f"{len(group.members):,}", found.images.names[group.members[0]]) for group in found.groups]
    print_table(("group", "images", "nearest to its centre"), rows, left=(0, 2))


def _warn(found: Exploration) -> None:
    """Name the files that cannot be read, and say if near-duplicates were not searched for."""
    problems = found.images.problems
    for problem in problems[:MAX_NAMED]:
        print_warning(f"left out: {problem.name}: {problem.reason}")
    if len(problems) > MAX_NAMED:
        print_warning(f"left out: {len(problems) - MAX_NAMED:,} more files, which the page names")
    if found.copies is None:
        print_warning("too many images look alike, so near-duplicates were not searched for")
