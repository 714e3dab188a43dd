"""Names of what a network's operations do: kinds, each of which has a colour, and short captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from opsin.ir import INPUT, Node
from opsin.ops.sliding import Pair, times
from opsin.viz.op_groups import OpGroup

NORM, ACTIVATION = "norm", "activation"
REARRANGING = frozenset({"flatten", "reshape", "pad"})
"""Names of rearranging operations, which `stripes` ignores."""

INPUT_KIND, CONV, DEPTHWISE, LINEAR = "input", "convolution", "depthwise convolution", "fully connected"
MAX_POOL, AVERAGE_POOL, RESAMPLE = "max pooling", "average pooling", "resampling"
CONCAT, ADD, MULTIPLY, REARRANGE, FUNCTION = "concatenation", "addition", "multiplication", "rearrangement", "function"

FUNCTION_PATTERNS = {
    (frozenset({"relu"}), False): "ReLU",
    (frozenset({"relu6"}), False): "ReLU6",
    (frozenset({"greater", "where", "multiply"}), True): "leaky ReLU",
    (frozenset({"sigmoid", "multiply"}), True): "SiLU",
    (frozenset({"erf", "multiply", "add"}), True): "GELU",
    (frozenset({"add", "relu6", "multiply"}), False): "hard sigmoid",
    (frozenset({"add", "relu6", "multiply"}), True): "hard swish",
    (frozenset({"add"}), False): "",  # adds a bias
    (frozenset({"multiply"}), False): "",  # divides a sum, for a mean
    (frozenset({"multiply", "add"}), False): "scale and shift",
}
"""Common functions of one tensor: the operations that they consist of, whether they read it twice, and their names."""

LAYER_NAMES = {
    "BatchNorm2d": "batch norm", "BatchNormalization": "batch norm", "LocalResponseNorm": "local response norm",
    "LRN": "local response norm", "Relu": "ReLU", "LeakyReLU": "leaky ReLU", "LeakyRelu": "leaky ReLU",
    "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hard swish", "HardSigmoid": "hard sigmoid",
    "LogSoftmax": "log-softmax", "Softmax": "softmax",
}  # fmt: skip
"""Names of layers, and of ONNX operators, that are not called like their class in texts."""


def kind_of(group: OpGroup) -> str:
    """Return the kind of a group, by its main operation."""
    if group.nodes[0].op is INPUT:
        return INPUT_KIND
    main_op = group.main_op
    if main_op is not None:
        match main_op.op.name:
            case "matmul":
                return LINEAR
            case "max_pool2d" | "max":
                return MAX_POOL
            case "avg_pool2d" | "sum":
                return AVERAGE_POOL
            case "resample2d":
                return AVERAGE_POOL if main_op.attrs["mode"] == "area" else RESAMPLE
            case "concat":
                return CONCAT
        return DEPTHWISE if _depthwise(main_op) else CONV
    if len(set(group.sources)) > 1:
        return MULTIPLY if any(node.op.name in ("multiply", "divide") for node in group.nodes) else ADD
    return REARRANGE if group.rearranges else FUNCTION


def caption(group: OpGroup, kinds: Mapping[str, str]) -> str:
    """Return what a group does: "3×3 conv, /2", "global avg", "concat", "ReLU"."""
    if group.nodes[0].op is INPUT:
        return INPUT_KIND
    if group.main_op is not None:
        return _work(group.main_op)
    if group.rearranges:
        return _rearrangement(group.nodes)
    return functions([group], kinds)


def functions(groups: Sequence[OpGroup], kinds: Mapping[str, str]) -> str:
    """Return the names of consecutive functions: "batch norm, ReLU". All operations of one layer are one function."""
    names = []
    for scope, run in groupby(groups, key=lambda group: None if group.rearranges else group.scope):
        members = list(run)
        if scope is None:
            names.append(_rearrangement([node for member in members for node in member.nodes]))
        else:
            names.append(_function(members, kinds.get(scope, "")))
    return ", ".join(name for name in names if name)


def stripes(text: str) -> list[str]:
    """Return `NORM` or `ACTIVATION` for each function in `text` (see `functions`) that changes values."""
    names = [name for name in text.split(", ") if name and name not in REARRANGING]
    return [NORM if "norm" in name or name == "scale and shift" else ACTIVATION for name in names]


def _work(node: Node) -> str:
    attrs = node.attrs
    match node.op.name:
        case "conv2d" | "conv_transpose2d":
            return _conv(node)
        case "matmul":
            return "linear"
        case "max_pool2d" | "avg_pool2d":
            if attrs["window"] == node.inputs[0].shape[2:]:
                return f"global {node.op.name[:3]}"
            return f"{_size_text(attrs['window'])} {node.op.name[:3]}{_stride(attrs['stride'])}"
        case "resample2d" if attrs["mode"] == "area":
            return f"avg to {_size_text(attrs['size'])}"
        case "resample2d":
            return f"{attrs['mode'].split('_')[0]} to {_size_text(attrs['size'])}"
        case "sum" | "max":
            return "global avg" if node.op.name == "sum" else "global max"
        case "concat" if attrs["axis"] != 1:
            return "interleave"
    return node.op.name


def _conv(node: Node) -> str:
    attrs, (_, _, *kernel) = node.attrs, node.inputs[1].shape
    name = "dw" if _depthwise(node) else "conv"
    if node.op.name == "conv_transpose2d":
        name = "up-conv"
    text = f"{kernel[0]}×{kernel[1]} {name}{_stride(attrs['stride'])}"
    if attrs["groups"] > 1 and name != "dw":
        text += f", {attrs['groups']} groups"
    if attrs["dilation"] != (1, 1):
        text += f", dilated {_size_text(attrs['dilation'])}"
    return text


def _depthwise(node: Node) -> bool:
    """Whether each channel is convolved separately."""
    channels = node.inputs[0].shape[1]
    return node.op.name == "conv2d" and 1 < node.attrs["groups"] == channels


def _rearrangement(nodes: Sequence[Node]) -> str:
    """Return what rearranging operations do together."""
    names = {node.op.name for node in nodes}
    if "transpose" in names:
        return "shuffle" if names == {"reshape", "transpose"} else "transpose"
    words = []
    for node in nodes:
        match node.op.name:
            case "slice":
                words.append("split" if max(node.attrs["steps"]) == 1 else "subsample")
            case "pad":
                words.append("pad" if max(node.attrs["low"][1:2] + node.attrs["high"][1:2]) == 0 else "pad channels")
            case "reshape":
                words.append("flatten" if node.output.rank == 2 else "reshape")
            case name:
                words.append(name)
    return ", ".join(dict.fromkeys(words))


def _function(groups: Sequence[OpGroup], kind: str) -> str:
    if kind in LAYER_NAMES:
        return LAYER_NAMES[kind]
    nodes = [node for group in groups for node in group.nodes]
    twice = any(len(group.sources) > 1 for group in groups)  # as in x · hard_sigmoid(x)
    name = FUNCTION_PATTERNS.get((frozenset(node.op.name for node in nodes), twice))
    if name is None:
        return kind or ", ".join(dict.fromkeys(node.op.name for node in nodes))
    return name or kind


def _stride(stride: Pair) -> str:
    if stride == (1, 1):
        return ""
    return f", /{stride[0]}" if stride[0] == stride[1] else f", /{_size_text(stride)}"


def _size_text(pair: Pair) -> str:
    """Return `3×3`."""
    return times(pair).replace(" ", "")
