"""Networks by name."""

from __future__ import annotations

import pytest

from opsin import nn, zoo
from opsin.errors import UsageError


def test_names_are_sorted_and_each_makes_a_network() -> None:
    assert zoo.names() == sorted(zoo.names())
    assert {"lenet5", "lenet5_1998"} <= set(zoo.names())


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("classes", [2, 10])
def test_every_network_traces_trains_and_has_as_many_outputs_as_classes(name: str, classes: int) -> None:
    network = zoo.create(name, classes)
    shape = zoo.find(name).input_shape
    assert nn.trace(network, shape).outputs["logits"].shape[1:] == (classes,)
    graph = nn.training_graph(network, shape, nn.optimizers.SGD(0.9))
    assert set(graph.parameters) <= set(graph.updates)


def test_each_call_makes_a_new_network() -> None:
    assert zoo.create("lenet5") is not zoo.create("lenet5")


def test_an_unknown_name_brings_those_that_come_close() -> None:
    with pytest.raises(UsageError, match=r"there is no network called 'LeNet'; did you mean lenet5 or lenet5_1998\?"):
        zoo.create("LeNet")
    with pytest.raises(UsageError, match=r"there is no network called 'zzz'; there are lenet5, lenet5_1998"):
        zoo.create("zzz")


def test_one_class_is_no_choice() -> None:
    with pytest.raises(UsageError, match="a network tells at least two classes apart, not 1"):
        zoo.create("lenet5", 1)
