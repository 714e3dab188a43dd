"""What the pieces of a network are called in an image: kinds, which have a colour each, and short captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from opsin.ir import INPUT, Node
from opsin.ops.sliding import Pair, times
from opsin.viz.pieces import Piece

NORM, ACTIVATION = "norm", "activation"
MOVES = frozenset({"flatten", "reshape", "pad"})
"""What rearranging operations are called that units may have around them."""

INPUT_KIND, CONV, DEPTHWISE, LINEAR = "input", "convolution", "depthwise convolution", "fully connected"
MAX_POOL, AVERAGE_POOL, RESAMPLE = "max pooling", "average pooling", "resampling"
CONCAT, ADD, GATE, MOVE, FUNCTION = "concatenation", "addition", "multiplication", "rearrangement", "function"

FUNCTIONS = {
    (frozenset({"relu"}), False): "ReLU",
    (frozenset({"relu6"}), False): "ReLU6",
    (frozenset({"greater", "where", "multiply"}), True): "leaky ReLU",
    (frozenset({"sigmoid", "multiply"}), True): "SiLU",
    (frozenset({"erf", "multiply", "add"}), True): "GELU",
    (frozenset({"add", "relu6", "multiply"}), False): "hard sigmoid",
    (frozenset({"add", "relu6", "multiply"}), True): "hard swish",
    (frozenset({"add"}), False): "",  # a bias
    (frozenset({"multiply"}), False): "",  # what makes a mean of a sum
    (frozenset({"multiply", "add"}), False): "scale and shift",
}
"""What the usual functions of one tensor are composed of, and whether they read it twice."""

LAYERS = {
    "BatchNorm2d": "batch norm", "BatchNormalization": "batch norm", "LocalResponseNorm": "local response norm",
    "LRN": "local response norm", "Relu": "ReLU", "LeakyReLU": "leaky ReLU", "LeakyRelu": "leaky ReLU",
    "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hard swish", "HardSigmoid": "hard sigmoid",
    "LogSoftmax": "log-softmax", "Softmax": "softmax",
}  # fmt: skip
"""Layers, and operators of ONNX, whose class is not what they are called in a text."""


def kind_of(piece: Piece) -> str:
    """The kind of a piece, by the operation that does its work."""
    if piece.nodes[0].op is INPUT:
        return INPUT_KIND
    worker = piece.worker
    if worker is not None:
        match worker.op.name:
            case "matmul":
                return LINEAR
            case "max_pool2d" | "max":
                return MAX_POOL
            case "avg_pool2d" | "sum":
                return AVERAGE_POOL
            case "resample2d":
                return AVERAGE_POOL if worker.attrs["mode"] == "area" else RESAMPLE
            case "concat":
                return CONCAT
        return DEPTHWISE if _depthwise(worker) else CONV
    if len(set(piece.sources)) > 1:
        return GATE if any(node.op.name in ("multiply", "divide") for node in piece.nodes) else ADD
    return MOVE if piece.moves else FUNCTION


def caption(piece: Piece, kinds: Mapping[str, str]) -> str:
    """What a piece does: "3×3 conv, /2", "global avg", "concat", "ReLU"."""
    if piece.nodes[0].op is INPUT:
        return INPUT_KIND
    if piece.worker is not None:
        return _work(piece.worker)
    if piece.moves:
        return _move(piece.nodes)
    return functions([piece], kinds)


def functions(pieces: Sequence[Piece], kinds: Mapping[str, str]) -> str:
    """The names of functions that follow each other: "batch norm, ReLU". What a layer does itself is one function."""
    names = []
    for scope, group in groupby(pieces, key=lambda piece: None if piece.moves else piece.scope):
        parts = list(group)
        if scope is None:
            names.append(_move([node for part in parts for node in part.nodes]))
        else:
            names.append(_function(parts, kinds.get(scope, "")))
    return ", ".join(name for name in names if name)


def stripes(text: str) -> list[str]:
    """Of functions as `functions` names them, those that change numbers: `NORM` or `ACTIVATION` for each."""
    names = [name for name in text.split(", ") if name and name not in MOVES]
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
            return f"{_short(attrs['window'])} {node.op.name[:3]}{_stride(attrs['stride'])}"
        case "resample2d" if attrs["mode"] == "area":
            return f"avg to {_short(attrs['size'])}"
        case "resample2d":
            return f"{attrs['mode'].split('_')[0]} to {_short(attrs['size'])}"
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
        text += f", dilated {_short(attrs['dilation'])}"
    return text


def _depthwise(node: Node) -> bool:
    """Whether each channel is convolved by itself."""
    channels = node.inputs[0].shape[1]
    return node.op.name == "conv2d" and 1 < node.attrs["groups"] == channels


def _move(nodes: Sequence[Node]) -> str:
    """What rearranging operations do together."""
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


def _function(pieces: Sequence[Piece], kind: str) -> str:
    if kind in LAYERS:
        return LAYERS[kind]
    nodes = [node for piece in pieces for node in piece.nodes]
    twice = any(len(piece.sources) > 1 for piece in pieces)  # as in x · hard_sigmoid(x)
    known = FUNCTIONS.get((frozenset(node.op.name for node in nodes), twice))
    if known is None:
        return kind or ", ".join(dict.fromkeys(node.op.name for node in nodes))
    return known or kind


def _stride(stride: Pair) -> str:
    if stride == (1, 1):
        return ""
    return f", /{stride[0]}" if stride[0] == stride[1] else f", /{_short(stride)}"


def _short(pair: Pair) -> str:
    """`3×3`."""
    return times(pair).replace(" ", "")
