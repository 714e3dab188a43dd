"""Answers at the size of the image, their PNG files and drawings."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import DataError
from opsin.tasks.segmentation import answers, rle
from opsin.tasks.segmentation.answers import Segmentation
from opsin.tasks.segmentation.colours import colour_of
from opsin.tasks.segmentation.draw import draw, overlay

CLASSES = ("background", "cell", "Ölfleck 漢字")


def answer() -> Segmentation:
    ids = np.zeros((40, 60), np.uint8)
    ids[5:25, 10:30], ids[30:36, 40:50] = 1, 2
    shares = tuple(float((ids == i).mean()) for i in range(3))
    return Segmentation(CLASSES, ids, shares)


@pytest.mark.parametrize("size", [(13, 9), (33, 20), (7, 5), (1, 1), (3, 40)])
def test_logits_are_resized_as_by_pytorch(
    size: tuple[int, int], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(answers, "STRIP_VALUES", 300)  # several strips
    logits = rng.standard_normal((3, 13, 9)).astype(np.float32)
    found = Segmentation.of(logits, size, CLASSES, probabilities=True)
    resized = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], size, mode="bilinear")[0]
    assert found.probabilities is not None
    assert np.allclose(found.probabilities, resized.softmax(0).numpy(), atol=1e-6)
    top = resized.sort(0).values
    clear = (top[-1] - top[-2]).numpy() > 1e-5
    assert (found.ids == resized.argmax(0).numpy())[clear].all()
    assert found.shares == pytest.approx([(found.ids == i).mean() for i in range(3)])
    assert Segmentation.of(logits, size, CLASSES).probabilities is None


def test_a_temperature_changes_probabilities_but_no_class(rng: np.random.Generator) -> None:
    logits = rng.standard_normal((3, 13, 9)).astype(np.float32)
    plain, warm = (Segmentation.of(logits, (13, 9), CLASSES, temperature=t, probabilities=True) for t in (1.0, 4.0))
    assert (plain.ids == warm.ids).all() and plain.probabilities is not None and warm.probabilities is not None
    shares = np.exp(logits.astype(np.float64) / 4)
    assert np.allclose(warm.probabilities, shares / shares.sum(0), atol=1e-6)
    assert warm.confidence == pytest.approx(warm.probabilities.max(0).mean(), rel=1e-5)
    assert warm.confidence is not None and plain.confidence is not None and warm.confidence < plain.confidence
    assert Segmentation.of(logits, (13, 9), CLASSES).confidence is None


def test_text_and_json() -> None:
    given = answer()
    assert str(given) == "background 80.8%, cell 16.7%, Ölfleck 漢字 2.5%"
    data = json.loads(json.dumps(given.to_data()))
    assert (data["height"], data["width"], data["confidence"]) == (40, 60, None)
    assert [row["class"] for row in data["classes"]] == list(CLASSES)
    for number, row in enumerate(data["classes"]):
        code = row["segmentation"]
        mask = rle.decode(rle.decompress(code["counts"].encode()), (code["size"][0], code["size"][1]))
        assert (mask == (given.ids == number)).all() and row["share"] == given.shares[number]
    many = Segmentation.of_ids(np.arange(8, dtype=np.uint8)[None], tuple("abcdefgh"))
    assert str(many) == "a 12.5%, b 12.5%, c 12.5%, d 12.5%, e 12.5%, f 12.5%, …"


def test_ignored_pixels_of_masks_have_no_share() -> None:
    truth = Segmentation.of_ids(np.array([[0, 1, 255, 255]], np.uint8), CLASSES)
    assert truth.shares == (0.5, 0.5, 0.0)
    larger = truth.at_size((2, 8))
    assert larger.ids.tolist() == [[0, 0, 1, 1, 255, 255, 255, 255]] * 2 and larger.shares == truth.shares
    assert truth.at_size((1, 4)) is truth


def test_the_number_of_classes_must_match() -> None:
    with pytest.raises(DataError, match="C names"):
        Segmentation.of(np.zeros((2, 4, 4)), (8, 8), CLASSES)


def test_png_holds_ids_colours_and_names() -> None:
    expected = answer()
    with Image.open(io.BytesIO(expected.to_png())) as image:
        image.load()
        assert image.mode == "P"
        assert (np.asarray(image) == expected.ids).all()
        assert json.loads(image.info["classes"]) == list(CLASSES)
        assert tuple((image.getpalette() or [])[3:6]) == colour_of(1)


def test_areas_are_tinted_and_outlined() -> None:
    image, expected = Image.new("RGB", (60, 40), (100, 100, 100)), answer()
    drawn = np.asarray(overlay(image, expected.ids, CLASSES, opacity=0.5))
    assert tuple(drawn[10, 10]) == colour_of(1)
    assert drawn[15, 20].tolist() == pytest.approx([(100 + value) / 2 for value in colour_of(1)], abs=1)
    background = drawn[expected.ids == 0]
    assert (background == 100).all()
    ignored = overlay(image, np.full((40, 60), 255, np.uint8), CLASSES)
    assert (np.asarray(ignored) == 100).all()


def test_without_a_background_the_first_class_is_drawn() -> None:
    image = Image.new("L", (60, 40), 100)
    drawn = np.asarray(overlay(image, answer().ids, ("road", "cell", "car"), outlines=False, opacity=1.0))
    assert drawn[0, 0].tolist() == [0, 0, 0] and tuple(drawn[32, 45]) == colour_of(2)


def test_legend_is_below_the_image() -> None:
    image = Image.new("RGB", (60, 40), (100, 100, 100))
    plain, full = draw(image, answer(), legend=False), draw(image, answer())
    assert plain.size == (60, 40) and full.width == 60 and full.height > 50
    assert (np.asarray(full)[:40] == np.asarray(plain)).all()
    below = {tuple(pixel) for pixel in np.asarray(full)[40:].reshape(-1, 3).tolist()}
    assert {colour_of(1), colour_of(2)} <= below
    empty = Segmentation(CLASSES, np.zeros((40, 60), np.uint8), (1.0, 0.0, 0.0))
    assert draw(image, empty).size == (60, 40)


def test_a_mask_of_another_size_is_an_error() -> None:
    with pytest.raises(DataError, match="of the same size"):
        overlay(Image.new("RGB", (6, 4)), np.zeros((6, 4), np.uint8), CLASSES)


def test_the_first_colours_differ_for_the_colour_blind() -> None:
    """Simulate red-green blindness after Viénot et al. 1999, in linear RGB."""
    deuteranope = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    colours = np.array([colour_of(i) for i in range(8)]) / 255
    seen = (colours**2.2 @ deuteranope.T).clip(0, 1) ** (1 / 2.2)
    distance = np.abs(seen[:, None] - seen[None]).sum(-1) + 9 * np.eye(8)
    assert distance.min() > 0.2
    assert len({colour_of(i) for i in range(22)}) == 22
