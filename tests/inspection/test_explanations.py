"""The view of explanations: what it says, and that its arrays are the maps of `opsin.explain`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.explain import METHODS, Attribution, Explainer
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject
from opsin.inspection.views.explanations import plan
from opsin.inspection.views.explanations.maps import reduced
from opsin.inspection.views.explanations.view import ExplanationsView
from opsin.tasks.regression import Regression
from tests.explain.networks import flattened, images, model_of, pooled


def view_data(subject: Subject) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    stored: list[np.ndarray[Any, Any]] = []

    class Recorded(Arrays):
        def add(self, array: np.ndarray[Any, Any]) -> int:
            stored.append(array)
            return len(stored) - 1

    data = ExplanationsView().data(subject, Recorded())
    assert data is not None
    return data, stored


@pytest.fixture(scope="module")
def subject() -> Subject:
    model = model_of(pooled())
    return opsin.see(model, images(model, 2)).subject


def test_maps_are_those_of_explain(subject: Subject) -> None:
    data, stored = view_data(subject)
    explainer = Explainer(subject.model)
    for number, image in enumerate(data["images"]):
        pixels = subject.images[number].pixels[None]
        np.testing.assert_array_equal(stored[image["pixels"]], pixels[0])
        assert image["answers"][0]["label"] == subject.images[number].label
        assert len(image["answers"]) == 3
        for answer in image["answers"]:
            score = explainer.scores(pixels, answer["label"])[0]
            for method, maps in answer["maps"].items():
                expected = explainer.explain(pixels, score, [method])[method][0]
                np.testing.assert_allclose(stored[maps[0]["values"]], expected.raw, rtol=1e-4, atol=1e-6)
                assert maps[0]["layer"] == expected.layer
                assert maps[0]["score"] == pytest.approx(expected.score, rel=1e-6)
        assert set(image["answers"][0]["maps"]) == set(METHODS)
        assert set(image["trust"]["methods"]) == set(METHODS)
        assert set(image["trust"]["sentences"]) == set(METHODS)
    assert data["together"]["images"] == 2
    assert {name for name, method in METHODS.items() if method.needs_layer} == set(data["sanity"])


def test_a_network_without_maps_has_the_other_methods() -> None:
    model = model_of(nn.Sequential(("flat", nn.Flatten()), ("fc", nn.Linear(4))), (1, 8, 8))
    data, _ = view_data(opsin.see(model, images(model)).subject)
    assert set(data["images"][0]["answers"][0]["maps"]) == {"occlusion", "gradient", "integrated-gradients"}
    assert data["sanity"] == {}


def test_a_regression_is_explained() -> None:
    task = Regression(("angle",), ("",), (0.0,), (1.0,), (True,))
    model = model_of(flattened(classes=1), task=task)
    data, _ = view_data(opsin.see(model, images(model)).subject)
    (answer,) = data["images"][0]["answers"]
    assert answer["description"] == "the standardized value of 'angle'"


def test_a_large_network_is_measured_less_and_the_page_says_so(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_MACS", 1.0)
    data, _ = view_data(subject)
    assert list(data["images"][0]["trust"]["methods"]) == [data["default"]]
    assert "no faithfulness of" in data["left_out"]
    assert "explanations without" in data["left_out"]


def test_large_maps_are_summed_or_represented_by_their_largest_values() -> None:
    raw = np.random.default_rng(0).normal(size=(150, 130))
    shares = Attribution("integrated-gradients", "a", "a", 1.0, None, raw, raw.shape)
    values, block = reduced(shares)
    assert (values.shape, block) == ((50, 44), 3)
    assert values.sum() == pytest.approx(raw.sum())
    assert values[1, 2] == pytest.approx(raw[3:6, 6:9].sum())
    largest, _ = reduced(Attribution("gradient", "a", "a", 1.0, None, np.abs(raw), raw.shape))
    assert largest[1, 2] == np.abs(raw[3:6, 6:9]).max()
