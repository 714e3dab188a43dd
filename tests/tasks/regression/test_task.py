"""Regression as a task: targets, loss, answers, intervals and scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin import nn
from opsin.backends import reference
from opsin.base.errors import DataError, ModelError, ShapeError, UsageError
from opsin.data.augment import Augmentation
from opsin.data.augment.draw import Frame, affine_maps, uniform
from opsin.data.augment.policy import policy_for
from opsin.data.preprocessing import Preprocessing
from opsin.ir import BATCH, Graph, input_tensor
from opsin.tasks.geometry import Geometry
from opsin.tasks.multilabel import LabelSets, MultiLabel
from opsin.tasks.registry import describe_task, described_task
from opsin.tasks.regression import Quantities, Regression
from opsin.tasks.regression.intervals import Intervals, fit_intervals
from opsin.tasks.regression.results import Results
from opsin.tasks.task import ImageSummary, LossOptions
from tests.tasks.regression import bars

Floats = NDArray[np.float64]
SETTINGS = {"labels": ("steering", "speed"), "units": ("", "km/h"), "signed": (True, False)}
VALUES = Quantities(np.array([[0.5, 10.0], [-0.25, 30.0], [0.0, 20.0]]))
TASK = Regression.of(SETTINGS, VALUES)


def mirror(count: int) -> Geometry:
    """Return maps of which every second one mirrors its image."""
    random = uniform(count, 0, 1)
    random[0] = np.where(np.arange(count) % 2, -1.0, 1.0)
    return Geometry((8, 8), (8, 8), affine_maps(Augmentation(flip=True), Frame((8, 8), (8, 8)), random))


def reduced(task: Regression, truth: Floats, predictions: Floats) -> Results:
    logits = ((predictions - np.array(task.means)) / np.array(task.scales)).astype(np.float32)
    return task.reduce({"logits": logits}, Quantities(truth))


def test_targets_are_standardized() -> None:
    encoded = TASK.encode(VALUES, Geometry.resize(3, (8, 8), (4, 4)), None)["values"]
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(encoded.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(TASK.values({"logits": encoded}), VALUES.values, atol=1e-5)


def test_only_signed_numbers_of_mirrored_images_change_their_sign() -> None:
    encoded = TASK.values({"logits": TASK.encode(VALUES, mirror(3), None)["values"]})
    np.testing.assert_allclose(encoded, np.array([[0.5, 10.0], [0.25, 30.0], [0.0, 20.0]]), atol=1e-5)
    plain = Regression.of(SETTINGS | {"signed": None}, VALUES)
    np.testing.assert_allclose(
        plain.values({"logits": plain.encode(VALUES, mirror(3), None)["values"]}), VALUES.values, atol=1e-5
    )


@pytest.mark.parametrize("level", ["none", "light", "strong"])
def test_images_are_mirrored_only_if_the_plan_says_so(level: str) -> None:
    images = bars.images(8)
    policy = policy_for(level, images, Preprocessing.of(images))
    assert not policy.flip and not policy.mixes and not policy.shift and policy.crop_area == 1
    assert policy_for(level, images, Preprocessing.of(images), flip=True).flip


def test_the_loss_is_the_mean_squared_error() -> None:
    objective = TASK.objective(LossOptions(), False)
    outputs = {"logits": input_tensor("logits", (BATCH, 2))}
    targets = objective.targets(outputs)
    graph = Graph((outputs["logits"], targets["values"]), {"loss": objective.loss(outputs, targets)})
    rng = np.random.default_rng(0)
    logits, values = rng.normal(size=(2, 5, 2)).astype(np.float32)
    found = reference.compile(graph, 5).run(logits=logits, values=values)["loss"]
    np.testing.assert_allclose(found, ((logits - values) ** 2).mean(), rtol=1e-6)
    assert not objective.statistics(outputs, targets) and TASK.chance_loss == 1


def test_options_and_networks_that_do_not_suit() -> None:
    with pytest.raises(UsageError, match="class weights are for classes; leave them out for numbers"):
        TASK.objective(LossOptions(class_weights=(1.0, 2.0)), False)
    TASK.check(nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(2)), (3, 4, 4)))
    with pytest.raises(ShapeError, match=r"but 2 numbers are needed; end it with Linear\(2\)"):
        TASK.check(nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(3)), (3, 4, 4)))
    with pytest.raises(UsageError, match="a unit, a mean, a scale above 0 and a sign rule for each quantity"):
        replace(TASK, scales=(0.0, 1.0))


def test_data_in_another_order() -> None:
    other = Regression.of({"labels": ("speed", "x", "steering")}, Quantities(np.ones((2, 3))))
    aligned = TASK.align(other, Quantities(np.array([[1.0, 2.0, 3.0]])))
    assert aligned.values.tolist() == [[3.0, 1.0]]
    with pytest.raises(DataError, match="the data lacks 'steering', which the model gives; it has speed"):
        TASK.align(Regression.of({"labels": ("speed",)}, Quantities(np.ones((2, 1)))), VALUES)
    with pytest.raises(DataError, match="the data is for multilabel, but the model does regression"):
        TASK.align(MultiLabel(("a",)), LabelSets(np.zeros((1, 1), np.uint8)))


def test_scores_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (make oracle)")
    rng = np.random.default_rng(3)
    truth = rng.normal([0, 25], [0.4, 8], (50, 2))
    results = reduced(TASK, truth, truth + rng.normal(size=(50, 2)) * [0.2, 9])
    found = TASK.evaluate([results], None)
    assert found.score.value == pytest.approx(metrics.r2_score(results.truth, results.predictions))
    for column, each in enumerate(found.quantities):
        pair = results.truth[:, column], results.predictions[:, column]
        assert each.r2 == pytest.approx(metrics.r2_score(*pair))
        assert each.mae == pytest.approx(metrics.mean_absolute_error(*pair))
        assert each.rmse == pytest.approx(metrics.mean_squared_error(*pair) ** 0.5)
    halves = [
        Results(results.predictions[rows], results.truth[rows], results.positions[rows])
        for rows in (slice(20), slice(20, None))
    ]
    assert TASK.evaluate(halves, None).to_data() == found.to_data()


def test_numbers_that_do_not_vary() -> None:
    truth = np.full((4, 2), 0.5)
    found = TASK.evaluate([reduced(TASK, truth, truth)], None)
    assert found.score.value == pytest.approx(1, abs=1e-6)
    assert found.to_data()["quantities"][0]["r2"] is None
    exact = Results(truth, truth, np.full(4, -1))
    assert not TASK.evaluate([exact], None).worst(3)
    task = Regression.of({"labels": ("x",)}, Quantities(np.full((3, 1), 7.0)))
    assert task.means == (7.0,) and task.scales == (1.0,)


@pytest.mark.parametrize("draw", ["normal", "laplace", "exponential"])
def test_intervals_hold_nine_tenths_of_new_numbers(draw: str) -> None:
    rng = np.random.default_rng(5)
    coverages = []
    for _ in range(40):
        truth = rng.normal(size=(400, 2)) * [0.3, 10]
        errors = getattr(rng, draw)(size=(400, 2)) * [0.1, 3]
        results = reduced(TASK, truth[:200], (truth + errors)[:200])
        intervals = TASK.calibrate([results])
        found = TASK.evaluate([reduced(TASK, truth[200:], (truth + errors)[200:])], intervals)
        coverages.append([each.coverage for each in found.quantities])
    mean = np.array(coverages, np.float64).mean(axis=0)
    assert (mean > 0.87).all() and (mean < 0.93).all()


def test_intervals_of_few_images() -> None:
    truth = np.arange(8.0)[:, None]
    assert fit_intervals(truth + 1, truth) is None
    found = fit_intervals(np.append(truth, [[8.0]], axis=0) + np.arange(9.0)[:, None], np.arange(9.0)[:, None])
    assert found == Intervals((8.0,), 9)


def test_calibrations_of_files() -> None:
    intervals = Intervals((0.2, 3.0), 100)
    assert TASK.calibration_from_data(intervals.to_data()) == intervals
    broken: list[dict[str, Any]] = [
        {}, {"margins": [1.0], "images": 3, "level": 0.9}, {"margins": [1.0, -1.0], "images": 3, "level": 0.9},
        {"margins": [1.0, float("nan")], "images": 3, "level": 0.9}, {"margins": 3, "images": 3, "level": 0.9},
    ]  # fmt: skip
    for data in broken:
        with pytest.raises(ModelError, match="its calibration"):
            TASK.calibration_from_data(data)


def test_answers() -> None:
    logits = np.zeros((1, 2), np.float32)
    (answer,) = TASK.answers({"logits": logits}, [(8, 8)], Intervals((0.25, 3.0), 50), None)
    assert str(answer) == "steering 0.08333 (-0.1667 to 0.3333), speed 20 km/h (17 to 23)"
    assert answer.value == pytest.approx(1 / 12)
    assert answer.to_data()["quantities"][1] == {
        "name": "speed", "value": 20.0, "unit": "km/h", "low": 17.0, "high": 23.0
    }  # fmt: skip
    (plain,) = TASK.answers({"logits": logits}, [(8, 8)], None, None)
    assert str(plain) == "steering 0.08333, speed 20 km/h"
    assert str(TASK.truth(VALUES)[1]) == "steering -0.25, speed 30 km/h"


def test_the_task_in_a_file() -> None:
    assert described_task(describe_task(TASK)) == TASK
    assert TASK.subject() == "steering, speed (km/h)" and TASK.outputs == 2


def test_targets_can_be_taken_and_joined() -> None:
    ordered = Quantities(np.arange(6.0).reshape(3, 2), np.array([4, 5, 6]))
    assert ordered.take(np.array([2, 0])).places.tolist() == [6, 4]
    assert Quantities.concatenate([ordered, VALUES]).places.tolist() == [4, 5, 6, -1, -1, -1]
    assert Quantities.concatenate([VALUES, VALUES]).positions is None
    assert VALUES.content() != ordered.content() and VALUES.counts(2) == []


@pytest.mark.parametrize(("count", "groups"), [(1, 1), (19, 1), (40, 4), (1000, 10)])
def test_strata_are_ranges_of_numbers(count: int, groups: int) -> None:
    values = np.random.default_rng(0).permutation(count).astype(np.float64)
    strata = Quantities(values[:, None]).strata()
    assert len(np.unique(strata)) == groups and strata.dtype == np.int32
    edges = [(values[strata == group].max(), values[strata == group + 1].min()) for group in range(groups - 1)]
    assert all(low < high for low, high in edges)
    assert np.bincount(strata).min() >= min(count, 10)


def test_signs_of_a_plan() -> None:
    plain = Regression.of({"labels": ("steering", "speed")}, VALUES)
    assert plain.with_signs(["steering"]).signed == (True, False) and plain.signed == (False, False)
    with pytest.raises(UsageError, match="there is no quantity 'angle' to be signed; there are steering, speed"):
        plain.with_signs(["angle"])


@pytest.mark.parametrize(("count", "epochs"), [(100, 30), (2000, 12), (100_000, 8)])
def test_defaults_for_steering(count: int, epochs: int) -> None:
    found = Regression.defaults(ImageSummary(count, 160, False, {"labels": ("steering_angle",)}))
    assert (found.network, found.side, found.max_epochs, found.patience) == ("pilotnet", 80, epochs, epochs)
    unordered = Regression.defaults(ImageSummary(count, 160, False, {"labels": ("steering",), "ordered": False}))
    assert unordered.network == "pilotnet"
    other = Regression.defaults(ImageSummary(count, 160, False, {"labels": ("angle",), "ordered": True}))
    assert other.network == "efficientnet_lite0" and other.patience is None


@pytest.mark.parametrize(("count", "epochs"), [(100, 30), (2000, 8), (100_000, 6)])
def test_defaults_for_steering_in_the_order_of_time(count: int, epochs: int) -> None:
    found = Regression.defaults(ImageSummary(count, 160, False, {"labels": ("steering",), "ordered": True}))
    assert (found.network, found.side, found.max_epochs, found.patience) == ("egomotion", 80, epochs, epochs)


def test_defaults() -> None:
    grey, small, photos = (
        Regression.defaults(ImageSummary(100, side, is_grey, {}))
        for side, is_grey in ((28, True), (48, False), (480, False))
    )  # fmt: skip
    assert (grey.network, grey.side) == ("lenet5", 28) and not grey.pretrained
    assert (small.network, small.side) == ("resnet9_half", 48)
    assert photos.network == "efficientnet_lite0" and photos.pretrained and photos.fallback == "resnet9_half"
