"""Plans that begin with the weights of a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import OpsinError
from opsin.data import AnnotatedImages, Dataset
from opsin.model import file
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, TrainOptions
from opsin.tasks.classification import Classification
from opsin.tasks.identity import Identity
from opsin.tasks.segmentation import Masks, SemanticSegmentation
from opsin.training.plan import TrainingPlan
from tests.model.test_model_weights import save
from tests.planning.fake_machine import PHOTOS, FakeMachine, choose

SMALL = replace(PHOTOS, side=32, resizable=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model files of several networks."""
    place = tmp_path_factory.mktemp("models")
    classes = Classification(("cat", "dog", "eel"))
    save(place / "resnet.opsin", "resnet20_cifar", (3, 32, 32), classes)
    save(place / "grey.opsin", "resnet20_cifar", (1, 32, 32), classes)
    save(place / "lite.opsin", "efficientnet_lite0", (3, 64, 64), classes)
    save(place / "same.opsin", "resnet20_cifar", (3, 32, 32), Classification(("class 0", "class 1")))
    (place / "run").mkdir()
    (place / "run" / "model.opsin").write_bytes((place / "resnet.opsin").read_bytes())
    return place


@pytest.mark.parametrize("name", ["resnet.opsin", "run"])
def test_the_network_and_the_size_are_the_models(folder: Path, name: str) -> None:
    found = choose(TrainOptions(weights=str(folder / name), budget=600.0), SMALL)
    plan = found.plan
    assert plan.network == "resnet20_cifar" and plan.size == 32 and not plan.pretrained and plan.is_transfer
    assert plan.weights is not None and plan.weights.path.endswith(name if name != "run" else "run/model.opsin")
    assert [stage.name for stage in plan.stages] == ["training"] and not plan.stages[0].frozen
    told = " ".join(found.reasons)
    assert (
        f"digest {plan.weights.digest[:12]}" in told and "new are the layers without weights in the model: fc" in told
    )
    assert TrainingPlan.from_data(plan.to_data()) == plan
    assert found.preprocessing is not None and found.preprocessing.mean == (0.4,) * 3


def test_the_head_is_kept_for_the_same_labels(folder: Path) -> None:
    found = choose(TrainOptions(weights=str(folder / "same.opsin")), SMALL)
    assert found.plan.weights is not None and found.plan.weights.head
    assert "all layers have their weights from the model" in " ".join(found.reasons)


def test_small_networks_learn_as_from_scratch(folder: Path) -> None:
    weights = str(folder / "resnet.opsin")
    found = choose(TrainOptions(weights=weights, budget=600.0), SMALL)
    scratch = choose(TrainOptions(network="resnet20_cifar", pretrained=False, budget=600.0), SMALL).plan
    assert found.plan == replace(scratch, size=32, weights=found.plan.weights)
    assert "all layers are trained as from scratch" in " ".join(found.reasons)


@pytest.mark.parametrize(
    ("options", "images", "stages"),
    [({"size": 96}, 1000, ["head", "fine-tuning"]), ({}, 99, ["head"]), ({}, 100, ["training"])],
)
def test_larger_networks_and_few_images_keep_the_weights(
    folder: Path, options: dict[str, Any], images: int, stages: list[str]
) -> None:
    summary = replace(SMALL, images=images)
    plan = choose(TrainOptions(weights=str(folder / "resnet.opsin"), budget=3600.0, **options), summary).plan
    assert [stage.name for stage in plan.stages] == stages


def test_images_may_have_another_size_and_colours(folder: Path) -> None:
    found = choose(TrainOptions(weights=str(folder / "grey.opsin"), size=48), SMALL)
    assert found.plan.size == 48 and found.preprocessing is not None
    assert found.preprocessing.shape == (3, 48, 48) and found.preprocessing.std == (0.3,) * 3


def masks(count: int, side: int) -> AnnotatedImages:
    pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (count, 3, side, side))
    ids = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (count, side, side)).copy()
    ids[:, 0, 0] = 1
    return AnnotatedImages(pixels, Masks(ids), SemanticSegmentation(("background", "cell")))


def segmentation(options: TrainOptions) -> AutoPlan:
    machine, data = FakeMachine(weights=()), Dataset("masks", masks(60, 128), masks(20, 128), True, masks(20, 128))
    choice = networks.choose_network(DatasetSummary.of(data), options, machine)
    return autoconfig.choose(choice, data, options, machine=machine)


def test_a_classifier_becomes_the_backbone_of_the_tasks_network(folder: Path) -> None:
    found = segmentation(TrainOptions(weights=str(folder / "lite.opsin"), freeze=True))
    assert found.plan.network == "unet_light" and found.plan.stages[0].frozen == ("backbone",)
    with pytest.raises(OpsinError, match=r"no network for segmentation has layers of resnet20_cifar, .* begin with we"):
        segmentation(TrainOptions(weights=str(folder / "resnet.opsin")))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pretrained": True}, "--weights begins with those of .*, which --pretrained contradicts; leave one out"),
        ({"pretrained": False}, "--weights begins with those of .*, which --from-scratch contradicts; leave one out"),
        ({"network": "lenet5"}, "has weights of resnet20_cifar, which shares no layers with lenet5"),
        ({"network": "lenet"}, "there is no network called 'lenet'; did you mean lenet5"),
    ],
)
def test_contradictions_are_refused(folder: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(OpsinError, match=text):
        choose(TrainOptions(weights=str(folder / "resnet.opsin"), **options), SMALL)


def test_a_network_of_ones_own_is_for_python(tmp_path: Path) -> None:
    path = tmp_path / "own.opsin"
    save(path, "resnet20_cifar", (3, 16, 16), Identity())
    description, tensors = file.read(path)
    file.write(path, description | {"network": "Mine"}, tensors)
    with pytest.raises(OpsinError, match=r"a network of its own \('Mine'\), not one of the zoo; begin with it in"):
        choose(TrainOptions(weights=str(path)), SMALL)
