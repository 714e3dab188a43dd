"""Arguments of layers, losses, optimizers and operations: NumPy's numbers are accepted, wrong types are errors."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn, ops, zoo
from opsin.base.errors import OpsinError, UsageError
from opsin.ir import Tensor, input_tensor
from opsin.ir.arguments import flag, path, real, scale, sequence, whole
from opsin.ir.checked import checked
from opsin.training import Stage, TrainingPlan
from opsin.training.recipe import Recipe

NUMBERS: dict[str, Callable[[int], Any]] = {
    "int64": np.int64, "int32": np.int32, "uint8": np.uint8, "0-d": np.array, "plain": int,
}  # fmt: skip

LAYERS: dict[str, Callable[[Callable[[int], Any]], nn.Layer]] = {
    "Conv2d": lambda n: nn.Conv2d(n(4), n(3), n(2), n(1), n(1), n(2), np.bool_(True)),  # type: ignore[arg-type]
    "Conv2d of pairs": lambda n: nn.Conv2d(n(4), (n(3), n(1)), [n(2), n(1)], np.array([1, 0])),  # type: ignore[arg-type]
    "Conv2d of sides": lambda n: nn.Conv2d(n(4), (n(3),), 1, ((n(1), n(0)), (n(2), n(1)))),  # type: ignore[arg-type]
    "ConvTranspose2d": lambda n: nn.ConvTranspose2d(n(4), n(3), n(2), n(1), n(1)),
    "MaxPool2d": lambda n: nn.MaxPool2d(n(3), n(2), n(1), np.bool_(False)),  # type: ignore[arg-type]
    "AvgPool2d": lambda n: nn.AvgPool2d([n(3), n(2)], n(2)),  # type: ignore[arg-type]
    "L2Pool2d": lambda n: nn.L2Pool2d(n(2)),
    "AdaptiveAvgPool2d": lambda n: nn.AdaptiveAvgPool2d((n(2), n(3))),
    "Upsample": lambda n: nn.Upsample(n(2)),
    "Upsample to": lambda n: nn.Upsample(size=(n(20), n(30))),
    "Softmax": lambda n: nn.Softmax(n(1)),
    "LocalResponseNorm": lambda n: nn.LocalResponseNorm(n(3), np.float32(1e-4), np.float64(0.75), n(1)),  # type: ignore[arg-type]
    "BatchNorm2d": lambda n: nn.BatchNorm2d(np.float32(1e-5), np.float32(0.125)),  # type: ignore[arg-type]
    "Dropout": lambda n: nn.Dropout(np.float32(0.5)),  # type: ignore[arg-type]
    "LeakyReLU": lambda n: nn.LeakyReLU(np.float32(0.25)),  # type: ignore[arg-type]
    "Whitening": lambda n: nn.Whitening(n(2)),
    "Linear": lambda n: nn.Sequential(nn.Flatten(), nn.Linear(n(5))),
}  # fmt: skip


class Holder(nn.Layer):
    def __init__(self, layer: nn.Layer) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


@pytest.mark.parametrize("name", LAYERS)
def test_numpy_numbers_make_the_same_graph(name: str) -> None:
    graphs = {
        kind: str(nn.trace(Holder(LAYERS[name](number)), (4, 9, 9), training=True)) for kind, number in NUMBERS.items()
    }
    assert set(graphs.values()) == {graphs["plain"]}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Conv2d(4, 3.5), "^Conv2d: kernel_size must be a whole number, not 3.5"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(4, 3.0), "^Conv2d: kernel_size must be a whole number, not 3.0; write 3"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d("4", 3), "^Conv2d: out_channels must be a whole number, not '4'"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(True, 3), "^Conv2d: out_channels must be a whole number, not True"),
        (lambda: nn.Conv2d(None, 3), "^Conv2d: out_channels must be a whole number, not None"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(4, 3, padding="valid"), "^Conv2d: padding must be whole numbers or 'same', not 'valid'"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(4, 3, bias="no"), "^Conv2d: bias must be True or False, not 'no'"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(4, 3, weight_init=1), "^Conv2d: weight_init must be a function, not 1"),  # type: ignore[arg-type]
        (lambda: nn.Conv2d(10**30, 3), "^Conv2d: out_channels must be a whole number of at most "),
        (lambda: nn.Linear(2**40), "^Linear: expected at most 2,147,483,647 output features, not "),
        (lambda: nn.Dropout("a"), "^Dropout: p must be a number, not 'a'"),  # type: ignore[arg-type]
        (lambda: nn.Dropout(math.nan), "^Dropout: p must be a finite number, not nan"),
        (lambda: nn.BatchNorm2d(eps=[1]), r"^BatchNorm2d: eps must be a number, not \[1\]"),  # type: ignore[arg-type]
        (lambda: nn.Upsample(1.5), "^Upsample: scale_factor must be a whole number, not 1.5; give the size"),
        (lambda: nn.Sequential(("a", nn.ReLU(), 1)), "^Sequential takes layers"),  # type: ignore[arg-type]
        (lambda: nn.trace(nn.ReLU(), 28), "^an input shape must be a sequence of whole numbers, not 28"),  # type: ignore[arg-type]
        (lambda: nn.optimizers.SGD(momentum="a"), "^SGD: momentum must be a number, not 'a'"),  # type: ignore[arg-type]
        (lambda: nn.optimizers.Adam(betas=(0.9,)), "^Adam: betas must be two numbers"),  # type: ignore[arg-type]
        (lambda: nn.schedules.step(0.1, 1.5), "^step: step_size must be a whole number, not 1.5"),  # type: ignore[arg-type]
        (lambda: ops.relu(np.ones(3)), "^relu: x must be a symbolic tensor, as the forward of a layer receives them"),  # type: ignore[arg-type]
        (lambda: ops.concat([1]), "^concat: xs must be a symbolic tensor"),  # type: ignore[list-item]
        (lambda: zoo.create("lenet5", 2.5), "^the number of classes must be a whole number, not 2.5"),  # type: ignore[arg-type]
        (lambda: zoo.find(7), "^the name of a network must be text, not 7"),  # type: ignore[arg-type]
        (lambda: opsin.load(None), "^load: path must be a path, as text or as a Path, not None"),  # type: ignore[arg-type]
        (lambda: opsin.data.load(3), "^load: source must be a path"),  # type: ignore[arg-type]
        (lambda: opsin.data.load("digits", size="a"), "^load: size must be a whole number, not 'a'"),  # type: ignore[arg-type]
        (
            lambda: opsin.train(None, "digits"),
            "^the network must be a name of the zoo, such as 'lenet5', or a layer, not",
        ),  # type: ignore[arg-type]
        (lambda: opsin.train("lenet5", "digits", epochs=1.5), "^train: epochs must be a whole number, not 1.5"),  # type: ignore[arg-type]
        (lambda: opsin.pretrained(3), "^the network must be a name such as 'resnet50'"),  # type: ignore[arg-type]
        (
            lambda: opsin.import_onnx("a.onnx", input_shape=3),
            "^an input shape must be a sequence of whole numbers, not 3",
        ),  # type: ignore[arg-type]
        (lambda: opsin.interop.onnx.read(None), "^read: path must be a path"),  # type: ignore[arg-type]
        (lambda: opsin.backends.native.compile(None, 1), "^what is compiled must be a graph, such as nn.trace"),  # type: ignore[arg-type]
        (lambda: opsin.data.Augmentation(flip="x"), "^Augmentation: flip must be True or False, not 'x'"),  # type: ignore[arg-type]
        (lambda: opsin.data.Preprocessing.of(None), "^what is to be prepared must be labelled images"),  # type: ignore[arg-type]
        (lambda: opsin.data.Batches(None, None, 1, 0), "^images must be labelled images, such as"),  # type: ignore[arg-type]
        (
            lambda: TrainingPlan(network="lenet5", stages=None),
            "^the stages of a plan must be a sequence of stages, not None",
        ),  # type: ignore[arg-type]
        (lambda: Stage(epochs="3"), "^Stage: epochs must be a whole number, not '3'"),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_wrong_types_are_errors(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(OpsinError, match=text):
        make()


def test_plans_convert_numpy_numbers() -> None:
    plain = TrainingPlan(network="lenet5", stages=(Stage(epochs=2, batch=8, learning_rate=0.5),), seed=3, ema=0.5)
    numpy = TrainingPlan(
        network="lenet5", stages=(Stage(epochs=np.int64(2), batch=np.int32(8), learning_rate=np.float32(0.5)),),  # type: ignore[arg-type]
        seed=np.uint64(3), ema=np.float64(0.5),  # type: ignore[arg-type]
    )  # fmt: skip
    assert numpy == plain
    assert repr(numpy) == repr(plain)
    assert repr(Recipe(np.int64(3), np.int16(4), np.float32(0.5), np.uint8(1))) == repr(Recipe(3, 4, 0.5, 1))  # type: ignore[arg-type]


def test_converters() -> None:
    assert [type(whole("n", n)) for n in (3, np.int8(3), np.array(3))] == [int] * 3
    assert [type(real("x", x)) for x in (3, 0.5, np.float32(0.5), np.array(2))] == [float] * 4
    assert [flag("f", f) for f in (True, np.bool_(False), 1, np.int64(0), np.array(True))] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert scale("s", [2.0, np.float32(3)]) == (2, 3)
    assert sequence("s", np.array([1, 2])) == [1, 2]
    for wrong in (lambda: flag("f", 2), lambda: real("x", "3"), lambda: real("x", np.ones(1)), lambda: path("p", "\0"),
                  lambda: sequence("s", {}), lambda: whole("n", np.bool_(True)),
                  lambda: whole("n", 0, 1, 9)):  # fmt: skip
        with pytest.raises(UsageError):
            wrong()


def test_checked_functions_keep_name_and_signature() -> None:
    @checked
    def double(n: int, *, by: float = 2.0, other: Any = None) -> float:
        """Twice."""
        return n * by

    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    assert double(np.int64(3), by=np.float32(2)) == 6  # type: ignore[arg-type]
    assert list(inspect.signature(ops.conv2d).parameters)[:2] == ["x", "w"]


ODD: tuple[Any, ...] = (
    None, "x", 1.5, -1, 10**30, math.nan, [1, 2], {}, object(), b"x", True, np.int64(3), np.float32(0.5),
    np.array([1, 2]),
)  # fmt: skip
X = input_tensor("x", (2, 4, 8, 8))


def sound(annotation: str) -> Any:
    """Something that may be given for a parameter annotated so."""
    kinds = {
        "Sequence[Tensor]": [X], "Tensor": X, "Operand": X, "float": 0.5, "Shape": (2, 4, 8, 8),
        "Sequence[Dim]": (2, 4, 8, 8), "Sequence[int]": (2, 4, 8, 8), "str": "nearest",
    }  # fmt: skip
    return kinds.get(annotation.removesuffix(" | None"), 2)


DATA = ("Primitive", "Sample", "register", "Memory", "Row", "Description")
"""What users do not make."""


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    modules: tuple[ModuleType, ...] = (ops, nn, nn.losses, nn.optimizers, nn.schedules, nn.initializers)
    for module in modules:
        for name in getattr(module, "__all__", dir(module)):
            actual = getattr(module, name)
            own = getattr(actual, "__module__", "").startswith(("opsin.ops", "opsin.nn"))
            if own and callable(actual) and name[0] != "_" and name not in DATA:
                yield f"{module.__name__}.{name}", actual


@pytest.mark.parametrize(("name", "function"), [pytest.param(*pair, id=pair[0]) for pair in callables()])
def test_wrong_arguments_raise_opsin_errors_only(name: str, function: Callable[..., Any]) -> None:
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]
    for wrong in parameters:
        needed = {p.name: sound(str(p.annotation)) for p in parameters if p.default is p.empty}
        for odd in ODD:
            try:
                made = function(**{**needed, wrong.name: odd})
                if isinstance(made, nn.Layer):
                    nn.trace(Holder(made), (4, 8, 8), training=True)
            except OpsinError as error:
                assert str(error)
