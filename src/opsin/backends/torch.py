"""The same graphs with PyTorch's own operators: on its devices, and as an independent check of the native engine.

PyTorch is an optional extra: without it, importing this module raises an `ImportError` that says what to install.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from opsin.backends.base import Array, checked_inputs, checked_state, last_uses, zero_state
from opsin.backends.options import DEFAULT, CompileOptions, refuse
from opsin.base.concurrency import ForkLock
from opsin.base.errors import CompileError
from opsin.ir import FLOAT, INPUT, INT, VARIABLE, Graph, Node
from opsin.ir import Tensor as Symbol
from opsin.ops.sliding import Padding, Pair, Sliding

try:
    import torch
    from torch import Tensor
    from torch.nn import functional
except ImportError as error:
    raise ImportError("the torch engine needs PyTorch; install it with: pip install 'opsin[torch]'") from error


class Torch:
    """A `Program` that runs `graph` with PyTorch: `batch` samples, on `device`, floats in `dtype`.

    Raise `CompileError` if the graph has an operation that this engine does not implement.
    """

    def __init__(self, graph: Graph, batch: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.graph, self.batch = graph.bind(batch), batch
        self.device, self.dtype = torch.device(device), dtype
        self._precision = np.dtype(str(dtype).removeprefix("torch."))
        implemented = {INPUT.name, VARIABLE.name, *IMPLEMENTATIONS}
        if unknown := sorted({node.op.name for node in self.graph.nodes} - implemented):
            raise CompileError(f"the torch engine does not implement: {', '.join(unknown)}")
        self._state = self._tensors(zero_state(self.graph, self._precision))
        self._last_use = last_uses(self.graph)
        self._lock = ForkLock(reentrant=False)

    def run(self, **inputs: ArrayLike) -> dict[str, Array]:
        values: dict[Symbol, Tensor] = {}
        with self._lock.lock:
            for _ in self._compute(inputs, values):
                pass
            outputs = {name: _array(values[t]) for name, t in self.graph.outputs.items()}
            self._state |= {name: values[t].clone() for name, t in self.graph.updates.items()}
            return outputs

    def trace_values(self, **inputs: ArrayLike) -> Iterator[tuple[Node, tuple[Array, ...]]]:
        """Yield each node with its result, operands first; leave the variables unchanged."""
        for node, value in self._compute(inputs, {}):
            yield node, (_array(value),)

    def state(self) -> dict[str, Array]:
        with self._lock.lock:
            return {name: _array(value) for name, value in self._state.items()}

    def load_state(self, values: Mapping[str, ArrayLike]) -> None:
        tensors = self._tensors(checked_state(self.graph, values, self._precision))
        with self._lock.lock:
            self._state |= tensors

    def _tensors(self, arrays: Mapping[str, Array]) -> dict[str, Tensor]:
        return {name: torch.tensor(array, device=self.device) for name, array in arrays.items()}

    def _compute(self, inputs: Mapping[str, ArrayLike], values: dict[Symbol, Tensor]) -> Iterator[tuple[Node, Tensor]]:
        """Fill `values` node by node, and drop each value after its last use."""
        tensors = self._tensors(checked_inputs(self.graph, inputs, self._precision))
        for node in self.graph.nodes:
            operands = [values[t] for t in node.inputs]
            value = values[node.output] = self._value(node, tensors, operands)
            yield node, value
            for tensor in self._last_use.get(node, ()):
                del values[tensor]

    @torch.no_grad()
    def _value(self, node: Node, inputs: Mapping[str, Tensor], operands: list[Tensor]) -> Tensor:
        if node.op is INPUT:
            return inputs[node.attrs["name"]]
        if node.op is VARIABLE:
            return self._state[node.attrs["name"]]
        dtype = self.dtype if node.output.dtype == FLOAT else torch.int32
        return IMPLEMENTATIONS[node.op.name](*operands, **node.attrs).to(self.device, dtype)


def compile(
    graph: Graph,
    batch: int,
    threads: int | None = None,
    *,
    options: CompileOptions = DEFAULT,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Torch:
    """Return `graph` as a `Program` for `batch` samples: this engine in the form that training takes.

    PyTorch decides about `threads`, and which algorithm computes a convolution: raise `UsageError` if `options` exclude
    Winograd's or limit the memory. Named algorithms are those of the native engine, and concern only its speed.
    """
    refuse("torch", options, "winograd", "memory", "precision")
    return Torch(graph, batch, device, dtype)


def _array(value: Tensor) -> Array:
    return np.array(value.detach().cpu().numpy())


def _adjoint(linear: Callable[[Tensor], Tensor], shape: tuple[int, ...], g: Tensor) -> Tensor:
    """Apply the transpose of the linear map `linear` of arguments of `shape` to `g`."""
    with torch.enable_grad():
        x = g.new_zeros(shape, requires_grad=True)
        (result,) = torch.autograd.grad(linear(x), x, g)
    return result


def _hw(x: Tensor) -> Pair:
    return x.shape[2], x.shape[3]


def _padded(x: Tensor, slide: Sliding, fill: float = 0.0) -> Tensor:
    """Return `x` padded with `fill`, or cropped, to exactly what the windows of `slide` read."""
    (h, w), ((top, _), (left, _)), (rows, columns) = slide.size, slide.padding, slide.need
    return functional.pad(x, (left, columns - left - w, top, rows - top - h), value=fill)


def _constant(*, value: float, dtype: str = FLOAT) -> Tensor:
    return torch.tensor(value, dtype=torch.float64 if dtype == FLOAT else torch.int32)


def _where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition != 0, a, b)


def _gather(table: Tensor, indices: Tensor) -> Tensor:
    padded = functional.pad(table, (0, 0, 0, 1))
    is_inside = (indices >= 0) & (indices < len(table))
    return functional.embedding(torch.where(is_inside, indices, len(table)).long(), padded)


def _scatter_add(indices: Tensor, g: Tensor, rows: int) -> Tensor:
    return _adjoint(lambda table: _gather(table, indices), (rows, g.shape[-1]), g)


def _ctc_loss(logits: Tensor, labels: Tensor, zero_infinity: bool = False) -> Tensor:
    """Return the loss of each sample; labels that are no classes make it infinite, and its gradient zero."""
    batch, frames, classes = logits.shape
    inside = (labels < 0).cumsum(1) == 0
    is_valid = ((labels > 0) & (labels < classes) | ~inside).all(1)
    lengths = torch.where(is_valid, inside.sum(1), 0)
    losses = functional.ctc_loss(
        torch.log_softmax(logits, 2).transpose(0, 1), torch.where(inside, labels, 1).clamp(1, classes - 1).long(),
        torch.full((batch,), frames), lengths, reduction="none", zero_infinity=zero_infinity,
    )  # fmt: skip
    return torch.where(is_valid, losses, 0.0 if zero_infinity else math.inf)


def _ctc_loss_gradient(logits: Tensor, labels: Tensor, g: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        (result,) = torch.autograd.grad(_ctc_loss(leaf, labels, True), leaf, g)
    return result


def _one_hot(labels: Tensor, *, classes: int) -> Tensor:
    return labels[..., None] == torch.arange(classes, device=labels.device)


def _mix(x: Tensor) -> Tensor:
    """Return the hash of `bernoulli`: uint32 arithmetic, in the low half of int64."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def _bernoulli(seed: Tensor, step: Tensor, *, shape: tuple[int, ...], keep: float, site: int) -> Tensor:
    key = _mix(seed.long() & 0xFFFFFFFF)
    for number in (site, step.long()):
        key = _mix((key + number) & 0xFFFFFFFF)
    index = torch.arange(math.prod(shape), device=seed.device)
    draws = _mix(_mix((index + key) & 0xFFFFFFFF) ^ key) >> 8
    return (draws < round(keep * 2**24)).reshape(shape)


def _slice(x: Tensor, *, starts: tuple[int, ...], stops: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    return x[tuple(slice(*bounds) for bounds in zip(starts, stops, steps, strict=True))]


def _pad(x: Tensor, *, low: tuple[int, ...], high: tuple[int, ...], interior: tuple[int, ...]) -> Tensor:
    inner = [n + (n - 1) * gap for n, gap in zip(x.shape, interior, strict=True)]
    y = x.new_zeros([a + n + b for a, n, b in zip(low, inner, high, strict=True)])
    y[tuple(slice(a, a + n, gap + 1) for a, n, gap in zip(low, inner, interior, strict=True))] = x
    return y


def _conv3d(x: Tensor, w: Tensor, *, groups: int, **attrs: Any) -> Tensor:
    margins = [n for pair in reversed(attrs["padding"]) for n in pair]
    return functional.conv3d(functional.pad(x, margins), w, None, attrs["stride"], 0, attrs["dilation"], groups)


def _conv_transpose3d(y: Tensor, w: Tensor, *, size: tuple[int, ...], groups: int, **attrs: Any) -> Tensor:
    shape = (len(y), w.shape[1] * groups, *size)
    return _adjoint(lambda x: _conv3d(x, w, groups=groups, **attrs), shape, y)


def _conv3d_weight(x: Tensor, g: Tensor, *, kernel: tuple[int, ...], groups: int, **attrs: Any) -> Tensor:
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    return _adjoint(lambda w: _conv3d(x, w, groups=groups, **attrs), shape, g)


def _matmul(a: Tensor, b: Tensor, *, transpose_a: bool, transpose_b: bool) -> Tensor:
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def _conv2d(x: Tensor, w: Tensor, *, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Tensor:
    slide = Sliding(_hw(x), _hw(w), stride, padding, dilation)
    return functional.conv2d(_padded(x, slide), w, None, stride, 0, dilation, groups)


def _conv_transpose2d(y: Tensor, w: Tensor, *, size: Pair, groups: int, **attrs: Any) -> Tensor:
    shape = (len(y), w.shape[1] * groups, *size)
    return _adjoint(lambda x: _conv2d(x, w, groups=groups, **attrs), shape, y)


def _conv2d_weight(x: Tensor, g: Tensor, *, kernel: Pair, groups: int, **attrs: Any) -> Tensor:
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    return _adjoint(lambda w: _conv2d(x, w, groups=groups, **attrs), shape, g)


def _max_pool2d(x: Tensor, *, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool) -> Tensor:
    slide = Sliding(_hw(x), window, stride, padding, ceil_mode=ceil_mode)
    return functional.max_pool2d(_padded(x, slide, -math.inf), window, stride)


def _max_pool2d_grad(x: Tensor, g: Tensor, **attrs: Any) -> Tensor:
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (result,) = torch.autograd.grad(_max_pool2d(leaf, **attrs), leaf, g)
    return result


def _avg_pool2d(
    x: Tensor, *, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool, count_include_pad: bool
) -> Tensor:
    slide = Sliding(_hw(x), window, stride, padding, ceil_mode=ceil_mode)
    (top, bottom), (left, right), (rows, columns) = *padding, slide.need
    counts = functional.pad(torch.ones_like(x[:1, :1]), (left, right, top, bottom), value=float(count_include_pad))
    counts = functional.pad(counts, (0, columns - counts.shape[3], 0, rows - counts.shape[2]))
    total, divisor = (functional.avg_pool2d(y, window, stride, divisor_override=1) for y in (_padded(x, slide), counts))
    return total / divisor


def _avg_pool2d_grad(g: Tensor, *, size: Pair, **attrs: Any) -> Tensor:
    return _adjoint(lambda x: _avg_pool2d(x, **attrs), (*g.shape[:2], *size), g)


def _resample2d(x: Tensor, *, size: Pair, mode: str, source: Pair, adjoint: bool) -> Tensor:
    if adjoint:
        forward = partial(_resample2d, size=size, mode=mode, source=source, adjoint=False)
        return _adjoint(forward, (*x.shape[:2], *source), x)
    if mode == "area":
        return functional.adaptive_avg_pool2d(x, size)
    if mode == "nearest":
        return functional.interpolate(x, size, mode="nearest")
    return functional.interpolate(x, size, mode="bilinear", align_corners=mode == "bilinear_corners")


IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {
    "absolute": torch.abs,
    "add": torch.add,
    "argmax": torch.argmax,
    "avg_pool2d": _avg_pool2d,
    "avg_pool2d_grad": _avg_pool2d_grad,
    "bernoulli": _bernoulli,
    "broadcast_to": lambda x, shape: x.expand(shape),
    "cast": lambda x, dtype: torch.trunc(x) if dtype == INT else x,
    "concat": lambda *xs, axis: torch.cat(xs, axis),
    "constant": _constant,
    "conv2d": _conv2d,
    "conv2d_weight": _conv2d_weight,
    "conv3d": _conv3d,
    "conv3d_weight": _conv3d_weight,
    "conv_transpose2d": _conv_transpose2d,
    "conv_transpose3d": _conv_transpose3d,
    "ctc_loss": _ctc_loss,
    "ctc_loss_gradient": _ctc_loss_gradient,
    "divide": torch.div,
    "equal": torch.eq,
    "erf": torch.erf,
    "exp": torch.exp,
    "fake_quantize": lambda x, step, low, high: torch.floor(torch.clamp(x / step, low, high) + 0.5) * step,
    "gather": _gather,
    "greater": torch.gt,
    "log": torch.log,
    "matmul": _matmul,
    "max": lambda x, axes: torch.amax(x, axes, keepdim=True),
    "variance": lambda x, axes: torch.var(x, axes, correction=0, keepdim=True),
    "max_pool2d": _max_pool2d,
    "max_pool2d_grad": _max_pool2d_grad,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "multiply": torch.mul,
    "negate": torch.neg,
    "one_hot": _one_hot,
    "pad": _pad,
    "power": torch.pow,
    "relu": torch.relu,
    "relu6": functional.relu6,
    "resample2d": _resample2d,
    "reshape": lambda x, shape: x.reshape(shape),
    "scatter_add": _scatter_add,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "slice": _slice,
    "sqrt": torch.sqrt,
    "stop_gradient": lambda x: x,
    "subtract": torch.sub,
    "sum": lambda x, axes: torch.sum(x, axes, keepdim=True),
    "tanh": torch.tanh,
    "transpose": lambda x, axes: x.permute(axes),
    "where": _where,
}
"""Every operation in PyTorch's own operators; the engine moves their results to its device and dtype."""
