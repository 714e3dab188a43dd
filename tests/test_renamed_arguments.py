"""Arguments under their names of Opsin 0.1.0: accepted with a warning, with the same graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opsin import nn, ops
from opsin.base.errors import UsageError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Graph, Tensor, input_tensor

LAYERS: list[tuple[Callable[..., nn.Layer], dict[str, Any], dict[str, Any]]] = [
    (nn.Conv2d, {"out": 4, "kernel": 3}, {"out_channels": 4, "kernel_size": 3}),
    (nn.ConvTranspose2d, {"out": 4, "kernel": 3}, {"out_channels": 4, "kernel_size": 3}),
    (nn.MaxPool2d, {"window": 2}, {"kernel_size": 2}),
    (nn.AvgPool2d, {"window": 2}, {"kernel_size": 2}),
    (nn.L2Pool2d, {"window": 2}, {"kernel_size": 2}),
    (nn.AdaptiveAvgPool2d, {"size": 3}, {"output_size": 3}),
    (nn.Upsample, {"scale": 2}, {"scale_factor": 2}),
    (nn.LeakyReLU, {"slope": 0.2}, {"negative_slope": 0.2}),
    (nn.Softmax, {"axis": 3}, {"dim": 3}),
    (nn.LogSoftmax, {"axis": 3}, {"dim": 3}),
    (nn.BatchNorm2d, {"eps": 1e-3, "momentum": 0.2, "scaled": False}, {"eps": 1e-3, "momentum": 0.2, "scale": False}),
    (nn.Whitening, {"kernel": 3}, {"kernel_size": 3}),
]
X = input_tensor("x", (2, 4, 8, 8))

FUNCTIONS: list[tuple[Callable[..., Tensor], dict[str, Any], dict[str, Any]]] = [
    (ops.max_pool2d, {"window": 2}, {"kernel_size": 2}),
    (ops.avg_pool2d, {"window": 2}, {"kernel_size": 2}),
    (ops.sum_pool2d, {"window": 2}, {"kernel_size": 2}),
    (ops.l2_pool2d, {"window": 2}, {"kernel_size": 2}),
    (ops.adaptive_avg_pool2d, {"size": 3}, {"output_size": 3}),
    (ops.upsample, {"scale": 2}, {"scale_factor": 2}),
    (ops.leaky_relu, {"slope": 0.2}, {"negative_slope": 0.2}),
]
OTHERS: list[tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]] = [
    (nn.optimizers.SGD, {"rates": {"bias": 2.0}}, {"lr_scales": {"bias": 2.0}}),
    (nn.schedules.step, {"every": 3, "factor": 0.5}, {"step_size": 3, "gamma": 0.5}),
    (nn.schedules.cosine, {"steps": 9, "final": 0.1}, {"steps": 9, "final_rate": 0.1}),
    (
        nn.schedules.one_cycle,
        {"steps": 9, "rise": 0.5, "first": 0.1, "last": 0.2},
        {"steps": 9, "warmup_fraction": 0.5, "initial_factor": 0.1, "final_factor": 0.2},
    ),
]
LABELS = input_tensor("labels", (2,), "int")


@pytest.mark.parametrize(("layer", "old", "new"), LAYERS)
def test_old_names_make_the_same_layer(
    layer: Callable[..., nn.Layer], old: dict[str, Any], new: dict[str, Any]
) -> None:
    with pytest.warns(DeprecationWarning) as warned:
        renamed = layer(**old)
    assert {warning.filename for warning in warned} == {__file__}
    pairs = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
    texts = [str(warning.message) for warning in warned]
    assert all(
        f"the argument {before} is now {after};" in text for (before, after), text in zip(pairs, texts, strict=True)
    )
    shape = (4, 8, 8)
    assert (
        str(nn.trace(renamed, shape))
        == str(nn.trace(layer(**new), shape))
        == str(nn.trace(layer(*new.values()), shape))
    )
    assert all(getattr(renamed, name) == value for name, value in new.items())


@pytest.mark.parametrize(("function", "old", "new"), FUNCTIONS)
def test_old_names_make_the_same_operation(
    function: Callable[..., Tensor], old: dict[str, Any], new: dict[str, Any]
) -> None:
    with pytest.warns(DeprecationWarning, match="is now"):
        renamed = function(X, **old)
    assert str(Graph((X,), {"y": renamed})) == str(Graph((X,), {"y": function(X, **new)}))


@pytest.mark.parametrize(("function", "old", "new"), OTHERS)
def test_old_names_of_optimizers_and_schedules(
    function: Callable[..., Any], old: dict[str, Any], new: dict[str, Any]
) -> None:
    first = () if function is nn.optimizers.SGD else (0.3,)
    with pytest.warns(DeprecationWarning, match="is now"):
        renamed = function(*first, **old)
    if first:
        assert [renamed(step) for step in range(9)] == [function(*first, **new)(step) for step in range(9)]
    else:
        assert renamed == function(**new)


def test_old_names_of_losses() -> None:
    logits = input_tensor("logits", (2, 3))
    with pytest.warns(DeprecationWarning, match="is now"):
        old = nn.losses.cross_entropy(logits, LABELS, smoothing=0.1, spread=(0.5, 0.25, 0.25))  # type: ignore[call-arg]
    new = nn.losses.cross_entropy(logits, LABELS, label_smoothing=0.1, smoothing_distribution=(0.5, 0.25, 0.25))
    assert str(Graph((logits, LABELS), {"y": old})) == str(Graph((logits, LABELS), {"y": new}))
    with pytest.warns(DeprecationWarning, match="is now"):
        nn.losses.soft_cross_entropy(logits, logits, smoothing=0.1)  # type: ignore[call-arg]


def test_both_names_are_refused() -> None:
    with pytest.raises(UsageError, match="MaxPool2d: window is the old name of kernel_size; give kernel_size alone"):
        nn.MaxPool2d(kernel_size=2, window=2)  # type: ignore[call-arg]


def test_unknown_arguments_are_still_refused_by_python() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        nn.MaxPool2d(2, colour=1)  # type: ignore[call-arg]


def test_decorated_functions_keep_their_name_and_signature() -> None:
    @renamed_arguments(old="new")
    def double(new: int) -> int:
        """Return twice `new`."""
        return 2 * new

    assert (double.__name__, double.__doc__) == ("double", "Return twice `new`.")
    assert double(3) == double(new=3) == 6
