"""Networks by name."""

from __future__ import annotations

import pytest

from opsin import nn, zoo
from opsin.base.errors import UsageError
from opsin.zoo.registry import TASKS
from tests.zoo.steps import step_graph


def test_names_are_sorted_and_each_makes_a_network() -> None:
    assert zoo.names() == sorted(zoo.names())
    assert {"lenet5", "lenet5_1998"} <= set(zoo.names())


@pytest.mark.parametrize("name", zoo.names("classification"))
def test_every_network_has_as_many_outputs_as_classes(name: str) -> None:
    entry = zoo.find(name)
    for classes in (None, 2, 7):
        outputs = nn.trace(entry(classes), entry.input_shape).outputs["logits"].shape[1:]
        size = entry.input_shape[1:] if entry.task == "segmentation" else ()
        assert outputs == (classes or entry.classes, *size)


@pytest.mark.parametrize(
    "name", [name for name in zoo.names("classification") if name != "resnet1202_cifar"]
)  # as the one of 110
def test_every_network_can_be_trained(name: str) -> None:
    entry = zoo.find(name)
    graph = step_graph(name, entry(), entry.input_shape, nn.optimizers.SGD(0.9))
    assert set(graph.parameters) <= set(graph.updates)


def test_each_call_makes_a_new_network() -> None:
    assert zoo.create("lenet5") is not zoo.create("lenet5")


def test_an_unknown_name_suggests_similar_ones() -> None:
    with pytest.raises(UsageError, match=r"there is no network called 'LeNet'; did you mean lenet5 or "):
        zoo.create("LeNet")
    with pytest.raises(
        UsageError, match=r"there is no network called 'zzz'; there are airbench94, airbench95, alexnet, "
    ):
        zoo.create("zzz")


@pytest.mark.parametrize("name", ["lenet5", "unet", "fcn_resnet50"])
def test_one_class_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="a network needs at least two classes, not 1"):
        zoo.create(name, 1)


def test_a_network_for_numbers_has_one_or_more() -> None:
    for outputs in (1, 3):
        assert nn.trace(zoo.pilotnet(outputs), (3, 66, 200)).outputs["logits"].shape[1:] == (outputs,)
    with pytest.raises(UsageError, match="pilotnet needs at least one output, not 0"):
        zoo.pilotnet(0)


def test_networks_are_listed_by_task() -> None:
    assert {"fcn_resnet50", "lraspp_mobilenet_v3_large", "unet", "unet_light"} <= set(zoo.names("segmentation"))
    assert "pilotnet" in zoo.names("regression")
    assert "resnet18" in zoo.names("classification")
    assert sorted(name for task in TASKS for name in zoo.names(task)) == zoo.names()
    with pytest.raises(UsageError, match="the task"):
        zoo.names("segmentatoin")  # type: ignore[arg-type]
