"""The base class of layers, and the traversal of networks.

A layer is a plain object. Its `forward` runs once, on symbolic tensors, while the network is traced, and not when the
graph runs. A layer does not store a name: the attributes that lead to it from the root of the network are its path
(`layer1.0.conv1`), and the path names its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from opsin import ops
from opsin.base.errors import GraphError, OpsinError, ShapeError
from opsin.ir import INT, Shape, Tensor, scope, show, variable
from opsin.ir.arguments import called, instance
from opsin.ir.arguments import shape as checked_shape
from opsin.ir.checked import check_fields
from opsin.nn.paths import inside

Init = tuple[Any, ...]
"""The initial value of a variable, as data: see `opsin.ir.initial_state`."""


class Layer:
    """The base class of all layers. Subclasses implement `forward`, in which they also declare their parameters.

    Sublayers are the attributes that are layers, and the layers in lists, tuples and dictionaries, numbered or named:
    `self.blocks = [Block(), Block()]` gives `blocks.0` and `blocks.1`. A layer that occurs twice keeps its first path
    and shares its parameters.
    """

    pretrained: Any = None
    """Where weights come from that replace the initial values; None for random weights.

    It is the name of a network of the zoo with published weights, or an object that reads a file (see `opsin.model`).
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs, with `opsin.ops` and other layers."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        path = current_trace().paths.get(id(self))
        if not path:
            return _tensor(self, self.forward(*args, **kwargs))
        with scope(path):
            try:
                return _tensor(self, self.forward(*args, **kwargs))
            except OpsinError as error:
                error.in_layer(path)
                raise

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the direct sublayers with their names."""
        for name, value in vars(self).items():
            yield from _layers_in(name, value)

    def parameter(self, name: str, shape: Shape, init: Init, trainable: bool = True) -> Tensor:
        """Return the variable `<path>.<name>`, the same one each time the layer is used.

        Raise `GraphError` if the layer has no path, or another layer has a parameter of that name; `ShapeError` if a
        second use of the layer needs another shape than the first.
        """
        return current_trace().parameter(self, name, shape, init, trainable)

    def auxiliary(self, logits: Tensor, weight: float) -> None:
        """During training, add `weight` times the loss of these `logits` to the loss. Ignore them otherwise.

        Classifiers in the middle of a network give its lower layers a shorter path to the loss (Szegedy et al. 2015).
        """
        if self.training:
            current_trace().auxiliaries.append((logits, weight))

    @property
    def training(self) -> bool:
        """Whether the network is being traced for training, and this layer is not frozen."""
        return current_trace().learns(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Configured(Layer):
    """The base class of layers that are dataclasses: their fields are checked by their annotations."""

    def __post_init__(self) -> None:
        check_fields(self, finite=True)


class Sequential(Layer):
    """A sequence of layers, numbered from 0, or named if they are given as `("name", layer)`."""

    def __init__(self, *layers: Layer | tuple[str, Layer]) -> None:
        self.layers = [item if isinstance(item, tuple) else (str(number), item) for number, item in enumerate(layers)]
        for item in self.layers:
            if len(item) != 2 or not isinstance(item[0], str) or not isinstance(item[1], Layer):
                description = called(item[1] if len(item) == 2 and isinstance(item[0], str) else item)
                raise GraphError(
                    f'Sequential takes layers, such as ReLU(), or ("name", layer) pairs; it was given {description}'
                )

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield from self.layers

    def forward(self, x: Tensor) -> Tensor:
        for _, layer in self.layers:
            x = layer(x)
        return x

    def __repr__(self) -> str:
        return f"Sequential of {len(self.layers)} layers"


def named_layers(network: Layer) -> dict[str, Layer]:
    """Return every layer by its path, in the order of the attributes. The path of the root is empty.

    Raise `GraphError` if two different layers have the same path.
    """
    instance("a network", network, Layer, "an object of a Layer class, such as zoo.lenet5()")
    layers: dict[str, Layer] = {"": network}
    visited = {id(network)}

    def visit(prefix: str, parent: Layer) -> None:
        for name, child in parent.children():
            if id(child) in visited:
                continue
            path = f"{prefix}{name}"
            if path in layers:
                raise GraphError(
                    f"two different layers are called '{path}': {layers[path]!r} and {child!r}; rename one of them"
                )
            visited.add(id(child))
            layers[path] = child
            visit(f"{path}.", child)

    visit("", network)
    return layers


class Trace:
    """Everything a network declares while its `forward` runs: variables, updates, auxiliary logits, random layers."""

    def __init__(self, network: Layer, training: bool, frozen: Sequence[str] = ()) -> None:
        self.layers = named_layers(network)
        self.paths = {id(layer): path for path, layer in self.layers.items()}
        self.training = training
        self.frozen = inside(self.layers, frozen)
        self.updates: dict[str, Tensor] = {}
        self.auxiliaries: list[tuple[Tensor, float]] = []
        self._variables: dict[str, tuple[Layer, Tensor]] = {}
        self._random_layers = 0

    def parameter(self, layer: Layer, name: str, shape: Shape, init: Init, trainable: bool) -> Tensor:
        """See `Layer.parameter`."""
        shape = checked_shape(f"the shape of the parameter {called(name)}", shape)
        path = self.paths.get(id(layer))
        if path is None:
            raise GraphError(
                f"{layer!r} has parameters but no name: keep it in an attribute of the network, or in a list there"
            )
        full_name = f"{path}.{name}" if path else name
        if full_name not in self._variables:
            learns = trainable and path not in self.frozen
            with scope(path):
                self._variables[full_name] = layer, variable(full_name, shape, init=init, trainable=learns)
        owner, tensor = self._variables[full_name]
        if owner is not layer:
            raise GraphError(
                f"{owner!r} and {layer!r} both have a parameter called '{full_name}'; rename one of the layers"
            )
        if tensor.shape != shape:
            raise ShapeError(
                f"{full_name} is {show(tensor.shape)}, but this second use of the layer needs {show(shape)}; "
                "feed it the same number of channels, or use two layers"
            )
        return tensor

    def learns(self, layer: Layer) -> bool:
        """See `Layer.training`. A layer without a path counts as the network itself."""
        return self.training and self.paths.get(id(layer), "") not in self.frozen

    def update(self, target: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        """After each run, set `target` to `rule(target)`. The rules of several uses are applied one after another."""
        name = target.node.attrs["name"]
        self.updates[name] = rule(self.updates.get(name, target))

    def randomness(self) -> tuple[Tensor, Tensor, int]:
        """Return the seed, the number of the step, and an index for one more random layer."""
        if not self._random_layers:
            with scope(""):
                self._seed = variable("random.seed", (), INT, init=("seed",))
                self._step = variable("random.step", (), INT)
                self.update(self._step, lambda step: ops.add(step, 1))
        self._random_layers += 1
        return self._seed, self._step, self._random_layers - 1


_trace: ContextVar[Trace] = ContextVar("trace")


def current_trace() -> Trace:
    """Return the active trace. Raise `GraphError` if there is none."""
    try:
        return _trace.get()
    except LookupError:
        raise GraphError("a layer computes nothing by itself: give the network to opsin.nn.trace") from None


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Make `trace` the active trace inside the block."""
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)


def _layers_in(name: str, value: object) -> Iterator[tuple[str, Layer]]:
    if isinstance(value, Layer):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _layers_in(f"{name}.{number}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _layers_in(f"{name}.{key}", item)


def _tensor(layer: Layer, result: Any) -> Tensor:
    """Return the result of a layer: a tensor, or for a whole network also a mapping of names to tensors."""
    tensors = list(result.values()) if isinstance(result, Mapping) else [result]
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise GraphError(f"the forward of {layer!r} gave {type(result).__name__}, not a tensor; does it return?")
    return cast("Tensor", result)
