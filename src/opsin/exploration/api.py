"""`opsin.explore`: groups, near-duplicates and outliers of a folder of images, as data and as a page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError, UsageError
from opsin.data.sources.unlabelled import open_unlabelled
from opsin.explain.embedding.neighbours import nearest
from opsin.exploration.duplicates import find_copies
from opsin.exploration.extractor import open_extractor
from opsin.exploration.findings import Findings
from opsin.exploration.folder import ImageFolder, read_folder
from opsin.exploration.groups import MAX_GROUPS, describe_groups, find_groups, neighbour_count
from opsin.exploration.links import write_class_folders
from opsin.exploration.outliers import find_outliers, outlier_scores
from opsin.exploration.page import EXPLORE, make_page
from opsin.inspection.page.document import notebook_frame
from opsin.inspection.page.target import write_page
from opsin.inspection.views.embedding.maps import MIN_POINTS
from opsin.ir.arguments import path as sound_path
from opsin.ir.arguments import whole
from opsin.model import Model


@dataclass(frozen=True, eq=False)
class Exploration(Findings):
    """What was found in a folder of images (see `Findings`), and its page, which a notebook shows."""

    @lazy
    def page(self) -> str:
        """The page: one HTML file that needs no network."""
        return make_page(self, self.progress)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file. Raise `UsageError` if it exists and is something else, or cannot be written."""
        write_page(path, self.page, EXPLORE)

    def label(self, folder: str | os.PathLike[str]) -> bool:
        """Make a new folder with a class folder for each group, which holds links to its images.

        After the class folders were renamed, `opsin train` learns them. Where links are impossible, images are copied;
        return whether all are links. Raise `UsageError` if the folder exists or cannot be written.
        """
        place, images = Path(sound_path("the folder", folder)), self.images
        named = {group.name: [(images.paths[n], images.file(n)) for n in group.members] for group in self.groups}
        return write_class_folders(place, named)

    def _repr_html_(self) -> str:
        return notebook_frame(self.page, EXPLORE)


def explore(
    folder: str | os.PathLike[str],
    *,
    model: Model | None = None,
    groups: int | None = None,
    cache: bool = True,
    on_progress: Callable[[str], None] | None = None,
) -> Exploration:
    """Look for groups, near-duplicates and outliers among the images of a folder and its subfolders.

    They are compared by the features of `model`, by default EfficientNet-Lite0 with published weights. `groups` is the
    number of groups; by default, it follows from the images (see `opsin.explain.embedding.communities`). Files that
    cannot be read are left out. With `cache`, decoded images and features are kept in the cache folder. `on_progress`
    is called with the name of each part of the work. Raise `DataError` if fewer than four images can be read, and
    `UsageError` if there are no features or more groups than images.
    """
    count = None if groups is None else whole("groups, the number of groups,", groups, 1, MAX_GROUPS)
    place, progress = Path(sound_path("the folder", folder)), on_progress or (lambda text: None)
    source = open_unlabelled(place)
    images = read_folder(source, open_extractor(model), cache, progress)
    check_counts(images, count)
    progress("groups")
    neighbours, squared = nearest(images.features.astype(np.float64), neighbour_count(len(images)))
    labels, choice = find_groups(neighbours, count)
    progress("near-duplicates")
    copies = find_copies(images)
    scores = outlier_scores(squared)
    outliers = tuple(find_outliers(scores).tolist())
    return Exploration(images, describe_groups(images.features, labels), choice, copies, outliers, scores, progress)


def check_counts(images: ImageFolder, groups: int | None) -> None:
    """Raise an error unless there are enough images, and not more groups than images."""
    if len(images) < MIN_POINTS:
        raise DataError(
            f"{images.folder} holds {len(images)} images that can be read, and at least {MIN_POINTS} are needed; "
            "look at so few without help"
        )
    if groups is not None and groups > len(images):
        raise UsageError(f"{len(images):,} images cannot form {groups} groups; give a smaller number")
