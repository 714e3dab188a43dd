"""The map of the data: its points, thumbnails and maps."""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.data import Dataset, LabeledImages
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.sprites import SIDES, sprite
from opsin.inspection.subject import Subject
from opsin.inspection.views.embedding import points as points_module
from opsin.inspection.views.embedding.points import find_suspects, sample_points
from opsin.inspection.views.embedding.view import EmbeddingView
from tests.report.support import blobs, subject


def seen() -> tuple[Subject, Dataset]:
    model, data = subject()
    model = replace(model, engine=opsin.backends.native.compile, _programs={})
    return Subject(model, (), data), data


def test_points_are_the_images_with_their_features_and_answers() -> None:
    looked_at, data = seen()
    found = sample_points(looked_at, data)
    assert found is not None
    assert (len(found.features), found.available) == (270, 270)
    assert sorted(set(found.splits)) == ["test", "train", "validation"]
    assert [found.splits.count(name) for name in ("train", "validation", "test")] == [120, 90, 60]
    pixels = np.asarray(found.images.pixels)
    test = {image.tobytes(): (name, label) for image, name, label in zip(
        np.asarray(data.test.pixels), data.test.names, data.test.labels, strict=True)}  # type: ignore[union-attr, arg-type]  # fmt: skip
    for n, split in enumerate(found.splits):
        assert (split == "test") == (pixels[n].tobytes() in test)
        if split == "test":
            assert (found.names[n], found.labels[n]) == test[pixels[n].tobytes()]  # type: ignore[index]
    model = looked_at.model
    probabilities = model.probabilities(pixels)
    assert np.array_equal(found.answers, probabilities.argmax(axis=1))  # type: ignore[arg-type]
    np.testing.assert_allclose(found.doubt, 1 - probabilities.max(axis=1), atol=1e-5)  # type: ignore[arg-type]
    weights, bias = (model.state[f"head.{name}"] for name in ("weight", "bias"))
    np.testing.assert_allclose(found.features @ weights.T + bias, model.logits(pixels), atol=1e-3)


def test_a_sample_has_half_of_the_images_that_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points_module, "SMALL_MAX_POINTS", 40)
    looked_at, data = seen()
    found = sample_points(looked_at, data)
    assert found is not None
    assert (len(found.names), found.available, found.splits.count("test")) == (40, 270, 20)
    few = sample_points(looked_at, data, macs=12e6)
    assert few is not None
    assert len(few.features) == 12


def test_data_of_other_classes_has_a_map_without_answers() -> None:
    looked_at, data = seen()
    other = {name: LabeledImages(s.pixels, s.labels, ("a", "b", "c"), s.names) for name, s in data.splits.items()}
    found = sample_points(looked_at, replace(data, **other))
    assert found is not None
    assert found.labels is None
    view = EmbeddingView().data(replace(looked_at, data=replace(data, **other)), Arrays())
    assert view is not None
    assert "labels" not in view


def test_swapped_labels_are_suspects() -> None:
    features, labels = blobs(300, 3, distance=8.0)
    wrong = np.array([5, 77, 140])
    labels[wrong] = (labels[wrong] + 1) % 3
    assert np.flatnonzero(find_suspects(features, labels, 3)).tolist() == wrong.tolist()
    assert not find_suspects(features[:40], labels[:40], 3).any()


def test_the_view_has_two_maps_that_are_alike_each_time() -> None:
    looked_at, _ = seen()
    first, second = Arrays(), Arrays()
    data = EmbeddingView().data(looked_at, first)
    assert data is not None
    assert EmbeddingView().data(looked_at, second) == data
    assert first.parts == second.parts
    assert [each["name"] for each in data["maps"]] == ["t-SNE", "PCA"]
    assert all(0.5 < each["trustworthiness"] <= 1 for each in data["maps"])
    assert first.entries[data["maps"][0]["positions"]]["shape"] == [270, 2]
    assert (data["count"], data["available"], data["left_out"]) == (270, 270, "")
    assert EmbeddingView().data(replace(looked_at, data=None), Arrays()) is None


def test_thumbnails_are_cut_from_one_sheet() -> None:
    pixels = np.repeat(np.arange(10, dtype=np.uint8) * 25, 3 * 20 * 30).reshape(10, 3, 20, 30)
    found = sprite(pixels, [7, 2, 9, 0, 4], 10**6)
    assert (found.side, found.columns, found.count) == (SIDES[0], 3, 5)
    sheet = Image.open(BytesIO(base64.b64decode(found.url.partition(",")[2])))
    assert sheet.size == (3 * found.side, 2 * found.side)
    middle = found.side // 2
    for n, expected in enumerate([7, 2, 9, 0, 4]):
        x, y = n % 3 * found.side + middle, n // 3 * found.side + middle
        assert abs(sheet.getpixel((x, y))[0] - 25 * expected) <= 3  # type: ignore[index]
    noise = np.random.default_rng(0).integers(0, 256, (60, 1, 28, 28), np.uint8)
    small = sprite(noise, range(60), 30_000)
    assert small.side < SIDES[0]
    assert len(small.url) <= 30_000


def test_grey_drawings_take_few_greys() -> None:
    digits = opsin.data.load("digits").test.pixels[:100]
    found = sprite(digits, range(100), 10**6)
    assert found.url.startswith("data:image/png")
    sheet = np.asarray(Image.open(BytesIO(base64.b64decode(found.url.partition(",")[2]))).convert("L"), np.float64)
    assert len(np.unique(sheet)) <= 8
    for n in (0, 57):
        y, x = (found.side * place for place in divmod(n, found.columns))
        shown = sheet[y : y + found.side, x : x + found.side]
        original = Image.fromarray(digits[n, 0]).resize((found.side, found.side), Image.Resampling.BILINEAR)
        assert np.abs(shown - np.asarray(original, np.float64)).mean() < 16


def test_names_of_images_without_names_are_numbers() -> None:
    looked_at, data = seen()
    unnamed = {name: LabeledImages(s.pixels, s.labels, s.classes, None) for name, s in data.splits.items()}
    found = sample_points(looked_at, replace(data, **unnamed))
    assert found is not None
    assert {"train image 1", "train image 120", "test image 60"} <= set(found.names)
