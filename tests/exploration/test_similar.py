"""`opsin.similar`: the most similar images of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.base.errors import DataError, UsageError
from opsin.model import Model
from tests.exploration.test_explore import kind_of


def test_copies_come_first_and_the_kind_next(folder: Path, model: Model) -> None:
    query = folder / "day0" / "000.png"
    found = opsin.similar(query, folder, model=model, top=12)
    assert len(found) == 12 and query not in [each.file for each in found]
    assert found[0].name == "again.png" and found[0].similarity == pytest.approx(1, abs=1e-5)
    assert [each.similarity for each in found] == sorted((each.similarity for each in found), reverse=True)
    assert {kind_of(each.name) for each in found[2:8]} <= {"disc", None}
    assert str(found[0]) == f"{folder / 'again.png'} (1.000)"


def test_similarity_is_the_cosine_of_the_features(folder: Path, model: Model) -> None:
    image, other = folder / "day0" / "000.png", folder / "day1" / "003.png"
    (each,) = [each for each in opsin.similar(image, folder, model=model, top=50) if each.file == other]
    pixels = np.stack([model.preprocessing.read(path, "") for path in (image, other)])
    weight, bias = model.state["head.weight"].astype(np.float64), model.state["head.bias"]
    features = opsin.explain.features.features_of(model).compute(pixels, np.arange(2))
    np.testing.assert_allclose(features @ weight.T + bias, model.logits(pixels), atol=1e-4)
    first, second = features.astype(np.float64)
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert each.similarity == pytest.approx(cosine, abs=1e-5)


def test_an_image_from_elsewhere(folder: Path, model: Model, tmp_path: Path) -> None:
    copy = tmp_path / "query.png"
    copy.write_bytes((folder / "day0" / "000.png").read_bytes())
    assert {each.name for each in opsin.similar(copy, folder, model=model, top=2)} == {"again.png", "day0/000.png"}


def test_bad_requests_are_refused(folder: Path, model: Model) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        opsin.similar(folder / "none.png", folder, model=model)
    with pytest.raises(DataError, match=r"broken.jpg is damaged or cut short"):
        opsin.similar(folder / "broken.jpg", folder, model=model)
    with pytest.raises(UsageError, match="whole number of at least 1"):
        opsin.similar(folder / "again.png", folder, model=model, top=0)
