"""`opsin.see`: arrays, answers, files and errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.base.errors import DataError, UsageError
from opsin.data import Dataset, Preprocessing
from opsin.data.dataset import AnnotatedImages
from opsin.explain.observer import Observer
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.page.document import json_text
from opsin.inspection.views.network.maps import as_maps, choose_form, divide
from opsin.inspection.views.network.selection import strongest_channels
from opsin.model import Model
from opsin.tasks.regression import Quantities, Regression
from tests.explain.networks import model_of
from tests.model import networks
from tests.model.networks import images
from tests.report import annotated


def small_model() -> Model:
    return replace(networks.small_model(), engine=opsin.backends.native.compile)


def test_feature_maps_are_those_of_the_network() -> None:
    model = small_model()
    inspection = opsin.see(model, images(2))
    assert [stage.name for stage in inspection.stages] == ["input", "conv", "head"]
    assert [step.name for step in inspection.stages[1].steps] == ["3×3 conv, /2", "batch norm", "ReLU"]
    before, after = inspection.feature_maps("conv", 1), inspection.feature_maps(1)
    assert before.shape == (2, 4, 3, 4) and np.array_equal(after, np.maximum(before, 0)) and before.min() < 0
    assert np.array_equal(inspection.feature_maps("head"), model.logits(images(2)))
    weights = model.state["head.weight"]
    answer = model.logits(images(2)).argmax(axis=1)
    expected = np.stack([weights[n] for n in answer]).reshape(2, 4, 3, 4)
    assert np.allclose(inspection.gradients("conv"), expected, rtol=1e-6)


def test_the_label_can_be_chosen_and_must_exist() -> None:
    inspection = opsin.see(small_model(), images(1), label="eel")
    assert inspection.subject.images[0].label == "eel"
    with pytest.raises(UsageError, match=r"no label 'emu' to explain; there are cat, dog, eel"):
        opsin.see(small_model(), images(1), label="emu")


def test_stages_and_steps_must_exist() -> None:
    inspection = opsin.see(small_model(), images(1))
    with pytest.raises(UsageError, match="no stage 'conv9'; its stages are input, conv, head"):
        inspection.feature_maps("conv9")
    for arrays in (inspection.feature_maps, inspection.gradients):
        with pytest.raises(UsageError, match="conv has 3 steps, and no step 3; give a number from 0 to 2"):
            arrays("conv", 3)
    with pytest.raises(UsageError, match="replay must be a path"):
        opsin.see(small_model(), images(1), replay=3)


def test_images_must_be_images_and_not_too_many(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        opsin.see(small_model(), [])
    with pytest.raises(UsageError, match="at most 24 images, not 30"):
        opsin.see(small_model(), images(30))
    with pytest.raises(UsageError, match="a name for each image, not 'ab'"):
        opsin.see(small_model(), images(2), names="ab")
    with pytest.raises(UsageError, match="2 images and 1 names"):
        opsin.see(small_model(), images(2), names=["a"])
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(DataError, match=r"a\.png is not an image"):
        opsin.see(small_model(), tmp_path / "a.png")


def test_a_page_is_written_twice_alike_and_over_pages_only(tmp_path: Path) -> None:
    page, other = tmp_path / "see.html", tmp_path / "notes.html"
    opsin.see(small_model(), images(2)).save(page)
    first = page.read_bytes()
    opsin.see(small_model(), images(2)).save(page)
    assert page.read_bytes() == first
    other.write_text("<p>mine</p>")
    with pytest.raises(UsageError, match="is not a page of opsin see"):
        opsin.see(small_model(), images(1)).save(other)
    assert other.read_text() == "<p>mine</p>"
    with pytest.raises(UsageError, match="is a folder"):
        opsin.see(small_model(), images(1)).save(tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        opsin.see(small_model(), images(1)).save(tmp_path / "nowhere" / "see.html")


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("network", ["lenet5", "resnet20_cifar", "shufflenet_v2_x1_0", "squeezenet1_1"])
def test_looking_changes_no_bit(network: str, exact: bool) -> None:
    entry = opsin.zoo.find(network)
    shape = (entry.input_shape[0], *(min(side, 64) for side in entry.input_shape[1:]))
    layers = entry()
    graph = opsin.nn.trace(layers, shape)
    preprocessing = opsin.data.Preprocessing(*shape, (0.5,) * shape[0], (0.3,) * shape[0])
    model = opsin.Model(
        network, graph, opsin.nn.initial_state(graph, 1), preprocessing,
        tuple(map(str, range(entry.classes))), opsin.nn.layer_kinds(layers),
    )  # fmt: skip
    pixels = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
    observer = Observer(model, exact=exact)
    alone = observer.outputs(pixels)["logits"]
    steps = [step.output for stage in opsin.see(model, pixels).stages for step in stage.steps]
    assert len(steps) >= 12
    assert np.array_equal(observer.run(pixels, [*steps, graph.outputs["logits"]])[-1], alone)
    if not exact:
        assert np.array_equal(model.logits(pixels), alone)


def test_the_strongest_channels_contribute_most() -> None:
    values, gradients = np.ones((1, 4, 2, 2), np.float32), np.zeros((1, 4, 2, 2), np.float32)
    gradients[0, 2], gradients[0, 1] = 3, -5
    values[0, 3, 0, 0] = 2
    assert strongest_channels(values, gradients, 2) == [1, 2]
    assert strongest_channels(values, gradients, 3) == [1, 2, 3]
    assert strongest_channels(values, gradients, 9) == [0, 1, 2, 3]


def test_bytes_go_where_they_are_needed() -> None:
    assert divide(1000, [10, 1000, 1000]) == [40, 480, 480]
    assert choose_form((1, 6, 28, 28), 20_000).reduction == 1 and choose_form((1, 6, 28, 28), 20_000).channels == 6
    small = choose_form((1, 64, 112, 112), 20_000)
    assert small.reduction == 2 and small.channels == 20_000 // 56**2
    assert choose_form((1, 64, 112, 112), 5_000).reduction == 4
    assert as_maps(np.zeros((2, 3, 4, 5, 6), np.float32)).shape == (2, 12, 5, 6)


def test_equal_arrays_are_stored_once() -> None:
    arrays = Arrays()
    numbers = [arrays.add(np.arange(6, dtype=np.float32)) for _ in range(2)]
    assert numbers == [0, 0] and arrays.size == 24 and arrays.add(np.arange(6, dtype=np.int32)) == 1
    with pytest.raises(TypeError, match="not float64"):
        arrays.add(np.zeros(3))


def test_json_ends_no_script() -> None:
    text = json_text({"a": "</script>\u2028&\udc80"})
    assert "<" not in text and "\u2028" not in text and "&" not in text


def test_a_true_label_is_shown_and_becomes_the_target() -> None:
    model = small_model()
    [answer] = opsin.see(model, images(1)).subject.images
    other = next(label for label in model.labels if label != answer.label)
    inspection = opsin.see(model, images(1), truth=[other])
    assert inspection.answers[0] == f"{answer.answer}, labelled {other}"
    [shown] = inspection.page.views["backpropagation"]["images"]
    assert shown["label"] == model.labels.index(other) and f"class '{other}'" in shown["sentence"]
    explained = inspection.page.views["explanations"]["images"][0]["answers"]
    assert [each["label"] for each in explained][:2] == [answer.label, other]
    assert (
        opsin.see(model, images(1), label=other).page.views["backpropagation"]["images"][0]["label"] == shown["label"]
    )
    with pytest.raises(UsageError, match="1 images and 2 true labels"):
        opsin.see(model, images(1), truth=[other, other])


def test_the_page_says_what_differs_from_a_prediction() -> None:
    model = replace(small_model(), tta="hflip")
    text = opsin.see(model, images(1)).html()
    assert "takes 1 × 8 × 9 values and answers with 3 classes" in text and "the image and its mirror image" in text
    assert "names no mean" not in text
    unprepared = replace(model.preprocessing, mean=(0.0,))
    assert "names no mean of its inputs" in opsin.see(replace(model, preprocessing=unprepared), images(1)).html()


def test_a_page_that_would_be_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.inspection.page.write.MAX_BYTES", 20_000)
    with pytest.raises(UsageError, match=r"more than 20\.0 kB; show fewer images"):
        opsin.see(small_model(), images(1)).html()


def test_data_must_fit_the_model() -> None:
    model = small_model()
    for data, message in (
        (annotated.subject()[1], "<scenes> is data for segmentation, and .* does classification; give data of that"),
        (opsin.data.load("digits"), "the images of digits are 1 × 28 × 28, and .* takes 1 × 8 × 9; load them with"),
    ):
        with pytest.raises(UsageError, match=message):
            opsin.see(model, images(1), data=data)


def test_frames_of_a_film_are_shown_alone_and_seen_as_stacks() -> None:
    """Of two frames of a film, the newer one is shown, and the map of the data has one point for each."""
    stacked = nn.Sequential(("conv", nn.Conv2d(2, 3, padding=1)), ("flat", nn.Flatten()), ("fc", nn.Linear(1)))
    task = Regression(("angle",), ("",), (0.0,), (1.0,), (True,))
    model = model_of(stacked, (6, 10, 12), task=task)
    model = replace(model, preprocessing=Preprocessing(3, 10, 12, (0.5,) * 3, (0.3,) * 3, frames=2))
    rng = np.random.default_rng(0)
    film = rng.integers(0, 256, (24, 3, 10, 12), dtype=np.uint8)
    numbers = Quantities(rng.normal(size=(24, 1)), positions=np.arange(24))
    parts = [AnnotatedImages(film[part], numbers.take(np.arange(24)[part]), task, None) for part in HALVES]
    inspection = opsin.see(model, film[:2], data=Dataset("film", parts[0], parts[1], True))
    subject = inspection.subject
    assert np.array_equal(subject.shown_image(1), film[1])
    assert np.array_equal(subject.images[1].pixels, np.concatenate([film[1], film[0]]))
    assert inspection.page.views["embedding"]["count"] == 24


HALVES = slice(12), slice(12, None)
