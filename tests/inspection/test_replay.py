"""The replay on the page: frames, curves, and what the network of each frame computes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.base.errors import UsageError
from opsin.data import load
from opsin.explain.stages import find_stages
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject
from opsin.inspection.views.replay.frames import computable, read_curves, read_replay
from opsin.inspection.views.replay.view import ReplayView
from opsin.model import Model
from opsin.report.thumbnails import thumbnail
from opsin.runs.replay import IMAGES, REPLAY
from tests.data.annotated_folders import write_numbers
from tests.data.files import write_stripes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    data = load(write_stripes(folder / "stripes"), size=28)
    opsin.train("lenet5", data, epochs=3, batch=8, run=folder / "run", replay=True)
    return folder / "run"


def array(arrays: Arrays, number: int) -> np.ndarray:
    entry = arrays.entries[number]
    width, kind = {"f": (4, np.float32), "b": (1, np.uint8), "i": (4, np.int32)}[entry["kind"]]
    planes = np.frombuffer(arrays.parts[number], np.uint8).reshape(width, -1)
    return np.ascontiguousarray(planes.T).view(kind).reshape(entry["shape"])


def seen(run: Path) -> tuple[Model, Subject]:
    model = opsin.load(run / "model.opsin")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), np.uint8)
    return model, opsin.see(model, pixels, replay=run).subject


def test_every_frame_shows_what_its_network_computes(run: Path) -> None:
    model, subject = seen(run)
    arrays, frames = Arrays(), read_replay(run, model).frames
    data = ReplayView().data(subject, arrays)
    assert data is not None
    assert data["steps"] == [frame.step for frame in frames]
    assert data["complete"]
    kernels = array(arrays, data["kernels"][0]["values"])
    assert all(np.array_equal(k, f.weights["conv1.weight"][:16]) for k, f in zip(kernels, frames, strict=True))
    probabilities, maps = array(arrays, data["probabilities"]), data["maps"][0]
    scaled = array(arrays, maps["values"])
    stage = subject.stages[maps["stage"]]
    assert maps["reduction"] == 1
    answers = array(arrays, data["held_out"]["answers"])
    logits = np.stack([frame.outputs["logits"] for frame in frames])
    assert np.array_equal(answers, logits.argmax(axis=2))
    held_out = load(run.parent / "stripes", size=28).validation
    assert held_out is not None
    chosen = held_out.take(np.array(frames[0].images))
    assert data["held_out"]["names"] == list(chosen.names or ())
    assert data["held_out"]["truth"] == [chosen.classes[label] for label in chosen.labels]
    assert data["held_out"]["thumbnails"] == [thumbnail(pixels) for pixels in chosen.pixels[:]]
    network = opsin.load(run / "model.opsin")
    for number, frame in enumerate(frames):
        network.load_state(frame.weights)
        found = network.task.probabilities(network.outputs(subject.pixels), model.calibration)
        np.testing.assert_allclose(probabilities[number], found[:, data["labels"]], atol=1e-5)
        values = opsin.see(network, subject.pixels).feature_maps(stage.name)[:, maps["channels"]]
        largest = maps["largest"]
        np.testing.assert_allclose((scaled[number] - 128.0) / 127 * largest, values, atol=largest / 200)


def test_without_the_file_of_images_they_have_numbers(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    images = copy / REPLAY / IMAGES
    content = images.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"text" * 20):
        images.write_bytes(damaged)
        _, subject = seen(copy)
        data = ReplayView().data(subject, Arrays())
        assert data is not None and data["held_out"]["truth"] is None and data["held_out"]["thumbnails"] is None
        assert data["held_out"]["names"][0].startswith("validation image ")


def test_numbers_are_shown_as_text(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path / "numbers", 24)
    model = opsin.autotrain(folder, network="resnet9_half", size=32, epochs=1, run=tmp_path / "run", replay=True)
    subject = opsin.see(model, np.zeros((1, *model.preprocessing.shape), np.uint8), replay=tmp_path / "run").subject
    data = ReplayView().data(subject, Arrays())
    assert data is not None
    frames, held_out = subject.replay.frames, data["held_out"]
    expected = model.task.answers(frames[-1].outputs, [(32, 32)] * len(frames[0].images), model.calibration, None)
    assert held_out["texts"][-1] == [str(answer) for answer in expected] and len(held_out["texts"]) == len(frames)
    assert len(held_out["truth"]) == len(expected) and held_out["truth"][0].startswith(f"{model.labels[0]} ")


def test_curves_come_from_the_log(run: Path) -> None:
    curves = read_curves(run)
    assert set(curves) == {"loss in training", "loss on held-out images", "accuracy on held-out images"}
    assert [step for step, _ in curves["loss on held-out images"]] == [4, 8, 12]
    assert all(0 <= value <= 1 for _, value in curves["accuracy on held-out images"])


def test_stages_without_their_weights_are_left_out(run: Path) -> None:
    model, _ = seen(run)
    stages = find_stages(model.graph, model.layers)
    names = [stage.name for stage in computable(model.graph, stages, ["conv1.weight", "conv1.bias"])]
    assert "conv1" in names
    assert "conv2" not in names
    assert len(computable(model.graph, stages, list(model.state))) == len(stages)


def test_what_is_no_replay_of_the_model_is_refused(run: Path, tmp_path: Path) -> None:
    model, _ = seen(run)
    with pytest.raises(UsageError, match="holds no replay; train with `opsin train DATA --replay`"):
        read_replay(tmp_path, model)
    graph = opsin.nn.trace(opsin.zoo.find("lenet5")(7), (1, 28, 28))
    other = Model("lenet5", graph, opsin.nn.initial_state(graph, 0), model.preprocessing, tuple("abcdefg"))
    with pytest.raises(UsageError, match="is the run of another network"):
        read_replay(run, other)
