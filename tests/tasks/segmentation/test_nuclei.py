"""The nuclei of the 2018 Data Science Bowl, if they lie next to the repository: real masks of instances in 16 bits."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from opsin.tasks.segmentation.masks import Masks
from tests.tasks.segmentation.support import MemoryFiles

ROOT = Path(__file__).parents[3]
PLACES = [parent / "shared" / "data" / "nuclei.zip" for parent in ROOT.parents]
ARCHIVE = next((place for place in PLACES if place.is_file()), None)

pytestmark = pytest.mark.skipif(ARCHIVE is None, reason="../shared/data/nuclei.zip is not there")


@pytest.fixture(scope="module")
def files() -> MemoryFiles:
    assert ARCHIVE is not None
    with zipfile.ZipFile(ARCHIVE) as archive:
        return MemoryFiles({name: archive.read(name) for name in archive.namelist() if not name.endswith("/")})


def test_the_table_is_honoured(files: MemoryFiles) -> None:
    found = files.annotations()
    assert Counter(image.split for image in found.images) == {"train": 460, "validation": 69, "test": 135}
    assert found.settings == {"classes": ("background", "foreground")}
    assert found.notes == ["Masks hold 0 and 1 to 374 per image, in 16 bits: read as background and foreground."]
    assert found.counts == {"background": 664, "foreground": 664} and not found.problems
    masks = Masks(np.stack([image.target.load(files, (64, 64)) for image in found.images]))
    assert np.unique(masks.ids).tolist() == [0, 1]
    assert 0.05 < masks.ids.mean() < 0.4
    assert np.bincount(masks.strata())[2:].tolist() == pytest.approx([332, 332], abs=5)


def test_without_the_table_the_folders_say_the_same(files: MemoryFiles) -> None:
    bare = MemoryFiles({path: content for path, content in files.contents.items() if path != "split.csv"})
    found, expected = bare.annotations(), files.annotations()
    assert sorted((i.path, i.target) for i in found.images) == sorted((i.path, i.target) for i in expected.images)
    assert {image.split for image in found.images} == {""}
