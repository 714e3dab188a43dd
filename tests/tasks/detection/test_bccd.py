"""The readers and scores on a published data set: 364 blood smears with boxes of cells (BCCD, Pascal VOC XML)."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.tasks.annotations import Annotations
from opsin.tasks.detection.average_precision import average_precision
from opsin.tasks.detection.boxes import Boxes
from opsin.tasks.detection.reader import detect
from opsin.tasks.detection.scored import Detections, Truth
from opsin.tasks.detection.voc_average_precision import voc_average_precision

PLACES = [parent / "shared/data/bccd.zip" for parent in Path(__file__).resolve().parents]
ARCHIVE = next((path for path in PLACES if path.exists()), None)
pytestmark = pytest.mark.skipif(ARCHIVE is None, reason="shared/data/bccd.zip is not next to the repository")


class Archive:
    """The files of the archive."""

    name = "bccd"

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)

    @property
    def paths(self) -> Sequence[str]:
        return sorted(name for name in self._zip.namelist() if not name.endswith("/"))

    def read(self, path: str) -> bytes:
        return self._zip.read(path)


@cache
def bccd() -> Annotations:
    assert ARCHIVE is not None
    archive = Archive(ARCHIVE)

    def image_size(path: str) -> tuple[int, int] | None:
        with Image.open(io.BytesIO(archive.read(path))) as image:
            return image.height, image.width

    found = detect(archive, image_size)
    assert found is not None
    return found


def test_the_counts_are_those_of_the_publication() -> None:
    found = bccd()
    assert found.form == "Pascal VOC XML"
    assert Counter(image.split for image in found.images) == {"train": 205, "validation": 87, "test": 72}
    assert found.counts == {"Platelets": 361, "RBC": 4153, "WBC": 372}  # two red cells have no extent
    assert {image.target.size for image in found.images} == {(480, 640)}
    assert [(Path(problem.name).name, problem.kind) for problem in found.problems] == [
        ("BloodImage_00338.xml, object 13", "empty box"), ("BloodImage_00343.xml, object 4", "empty box"),
    ]  # fmt: skip


def test_images_without_red_cells() -> None:
    red = bccd().settings["classes"].index("RBC")
    without = Counter(image.split for image in bccd().images if red not in image.target.classes)
    assert without == {"train": 8, "validation": 4, "test": 3}


def test_the_annotations_score_perfectly_against_themselves() -> None:
    boxes = Boxes.stack([image.target for image in bccd().images])
    assert (boxes.pixels() == np.round(boxes.pixels())).all()
    truth = Truth.of(boxes)
    scores = np.linspace(1, 0, len(boxes.classes))
    detections = Detections(boxes.image, boxes.classes, boxes.pixels(), scores)
    result = average_precision(truth, detections, 3).summary
    assert result["AP"] == pytest.approx(1) and result["AR 100"] == pytest.approx(1)
    assert voc_average_precision(truth, detections, 3) == pytest.approx(np.ones(3))
