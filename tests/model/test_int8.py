"""Models that predict in 8-bit integers: what they need, what they lose, when they refuse, and what a file keeps."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.backends.native import compile
from opsin.backends.reference import compile as reference
from opsin.base.errors import DataError, ModelError, UsageError
from opsin.data import LabeledImages, Preprocessing
from opsin.model import Model, load
from opsin.model.int8 import comparison_of, layers_of
from opsin.model.layer_costs import layer_costs
from opsin.quantization.comparison import Comparison
from opsin.report.speed import measure_speed
from opsin.training.saving import ModelWriter
from tests.conftest import RECORD
from tests.model.networks import LABELS


def model_of(engine: object = compile, seed: int = 0) -> Model:
    network = nn.Sequential(
        nn.Conv2d(8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 3, padding=1), nn.ReLU(),
        nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(3),
    )  # fmt: skip
    graph = nn.trace(network, (3, 12, 12))
    preprocessing = Preprocessing(3, 12, 12, (0.4, 0.5, 0.6), (0.25, 0.2, 0.3))
    return Model("mine", graph, nn.initial_state(graph, seed), preprocessing, LABELS, engine=engine)  # type: ignore[arg-type]


def images(count: int, seed: int = 5) -> np.ndarray:  # type: ignore[type-arg]
    blocks = np.random.default_rng(seed).integers(0, 256, (count, 3, 3, 3))
    return blocks.repeat(4, 2).repeat(4, 3).astype(np.uint8)


def labelled(model: Model, count: int) -> LabeledImages:
    """Images with the labels that the model gives in float32."""
    pixels = images(count, 7)
    return LabeledImages(pixels, model.logits(pixels).argmax(axis=1).astype(np.int32), LABELS)


def test_predictions_are_close_to_those_in_float32() -> None:
    model, pixels = model_of(), images(70)
    record = model.quantize(images(40))
    assert record.images == 40 and record.comparison is None
    exact, answers = model.predict(pixels), model.predict(pixels, precision="int8")
    difference = max(abs(a.probability - b.probability) for a, b in zip(exact, answers, strict=True))
    assert 0 < difference < 0.01
    assert model.predict(pixels)[0].probability == exact[0].probability, "the model stays in float32"
    model.precision = "int8"
    assert [a.probability for a in model.predict(pixels)] == [a.probability for a in answers]
    measure_speed(model, 0.0)


def test_every_engine_and_batch_gives_the_same_bits(tmp_path: Path) -> None:
    model, pixels = model_of(), images(70)
    model.quantize(images(40))
    model.save(tmp_path / "m.opsin")
    others = [
        load(tmp_path / "m.opsin"),
        load(tmp_path / "m.opsin", engine=reference),
        pickle.loads(pickle.dumps(model)),
    ]
    portable = load(tmp_path / "m.opsin", threads=1)
    portable.portable = True
    model.precision = "int8"
    expected = model.logits(pixels)
    for other in (*others, portable):
        other.precision = "int8"
        np.testing.assert_array_equal(other.logits(pixels[:9]), expected[:9])


def test_mirrored_models_average_both_images() -> None:
    model, pixels = model_of(), images(9)
    model.quantize(images(40))
    model.precision = "int8"
    both = (model.logits(pixels) + model.logits(pixels[..., ::-1].copy())) / 2
    model.tta = "hflip"
    np.testing.assert_allclose(model.logits(pixels), both, rtol=1e-6)


def test_a_model_without_ranges_says_how_to_get_them() -> None:
    model = model_of()
    data = labelled(model, 4)
    for act in (lambda: model.predict(images(1), precision="int8"), model.quantized, lambda: layer_costs(model, data)):
        with pytest.raises(ModelError, match=r"--calibrate FOLDER, or model.quantize\(images\)"):
            act()
    with pytest.raises(UsageError, match="must be one of float32, bf16, int8, not 'int4'"):
        model.predict(images(1), precision="int4")


def test_new_parameters_need_new_ranges() -> None:
    model = model_of()
    model.quantize(images(40))
    model.predict(images(1), precision="int8")
    model.load_state({name: 2 * array for name, array in model.state.items()})
    assert model.quantization is None
    with pytest.raises(ModelError, match="has no ranges"):
        model.predict(images(1), precision="int8")


def test_the_cost_is_measured_on_labelled_images() -> None:
    model = model_of()
    held_out = labelled(model, 300)
    comparison = model.quantize(images(40), held_out).comparison
    assert comparison is not None
    model.precision = "int8"
    right = model.logits(held_out.pixels[:]).argmax(axis=1) == held_out.labels
    assert (comparison.images, comparison.lost, comparison.won) == (300, int((~right).sum()), 0)
    assert comparison_of(model, held_out) == comparison and model.precision == "int8"


def test_a_model_that_loses_too_much_refuses() -> None:
    model = model_of()
    record = model.quantize(images(40), labelled(model, 20))
    assert model.predict(images(1), precision="int8")
    model.quantization = replace(record, comparison=Comparison(1000, 950, lost=40, won=10))
    with pytest.raises(ModelError, match=r"a drop of 3.00 points .* the limit is 1 points.*--layers.*--max-drop"):
        model.predict(images(1), precision="int8")
    model.max_drop = 3.0
    assert model.predict(images(1), precision="int8")


def test_layers_may_stay_in_float32(tmp_path: Path) -> None:
    model, pixels = model_of(), images(70)
    first, *others = layers_of(model)
    errors = []
    for layers in ([], [first], [first, *others]):
        assert model.quantize(images(40), float_layers=layers).float_layers == tuple(layers)
        model.precision = "int8"
        quantized = model.logits(pixels)
        model.precision = "float32"
        errors.append(float(np.square(quantized - model.logits(pixels)).mean()))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-10
    model.save(tmp_path / "m.opsin")
    loaded = load(tmp_path / "m.opsin").quantization
    assert loaded is not None and loaded.float_layers == (first, *others)
    with pytest.raises(UsageError, match=f"no layer 'head' that multiplies; the layers are {first}"):
        model.quantize(images(4), float_layers=["head"])


def test_the_cost_of_each_layer() -> None:
    model = model_of()
    model.quantize(images(40))
    data, calls = labelled(model, 120), list[tuple[int, int]]()
    costs = layer_costs(model, data, on_layer=lambda done, total: calls.append((done, total)))
    assert [cost.layer for cost in costs] == layers_of(model)
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert all(0 < cost.error < 0.2 and cost.comparison is not None for cost in costs)
    assert model.precision == "float32"
    weight = model.state["0.weight"]
    model.state["0.weight"] = weight + np.float32(0.3) * (np.arange(weight.size).reshape(weight.shape) % 7 == 0)
    assert layer_costs(model, data, 20)[0].comparison.images == 20  # type: ignore[union-attr]


def test_images_may_be_labelled_or_not() -> None:
    model = model_of()
    by_array, by_list = (model.quantize(given) for given in (images(5), list(images(5))))
    assert by_array == by_list == model.quantize(labelled_as(images(5)))
    with pytest.raises(DataError, match="there are no images to observe"):
        model.quantize([])


def labelled_as(pixels: np.ndarray) -> LabeledImages:  # type: ignore[type-arg]
    return LabeledImages(pixels, np.zeros(len(pixels), np.int32), LABELS)


def test_many_images_are_sampled_evenly() -> None:
    model = model_of()
    pixels = images(1000)
    assert model.quantize(pixels) == model.quantize(pixels[np.arange(256) * 1000 // 256])


def test_a_file_with_ranges_of_another_network_is_refused(tmp_path: Path) -> None:
    model = model_of()
    record = model.quantize(images(5))
    model.quantization = replace(record, ranges=dict(record.ranges) | {"bounds": {"9999": [0, 1]}})
    model.save(tmp_path / "m.opsin")
    with pytest.raises(ModelError, match="ranges for 8-bit integers do not belong"):
        load(tmp_path / "m.opsin")


def test_trainings_record_ranges_and_cost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ModelWriter, "quantize", RECORD)
    data = opsin.data.load("digits")
    path = tmp_path / "digits.opsin"
    opsin.train("lenet5", data, epochs=1, out=path)
    model = opsin.load(path)
    record = model.quantization
    assert record is not None and record.comparison is not None and record.comparison.drop is not None
    assert record.images == record.comparison.images == max(100, int(0.02 * len(data.train)))
    assert record.comparison.drop <= 1
    assert data.test is not None
    full = model.evaluate(data.test).accuracy
    model.precision = "int8"
    assert model.evaluate(data.test).accuracy == pytest.approx(full, abs=0.005)
