"""Operators that normalize: by known statistics, by their own, by neighbours, to probabilities."""

from __future__ import annotations

from opsin import ops
from opsin.interop.onnx.call import OnnxCall, Unsupported
from opsin.interop.onnx.rules.table import rule
from opsin.ir import Tensor, product


@rule("BatchNormalization")
def _batch_normalization(call: OnnxCall) -> Tensor:
    call.ignore("momentum")
    if call.whole("training_mode", 0):
        raise Unsupported("it normalizes by the batch's own statistics; export the network in evaluation mode")
    if not call.whole("spatial", 1):
        raise Unsupported("it normalizes every place for itself (spatial = 0)")
    gamma, beta, mean, var = call.weight(1), call.weight(2), call.tensor(3), call.tensor(4)  # which stay as they are
    return ops.batch_norm(call.tensor(0), gamma, beta, mean, var, call.real("epsilon", 1e-5))


@rule("InstanceNormalization")
def _instance_normalization(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    y = _standardised(x, range(2, x.rank), call.real("epsilon", 1e-5))
    scale, shift = (ops.reshape(call.weight(index), (x.shape[1], *[1] * (x.rank - 2))) for index in (1, 2))
    return ops.add(ops.multiply(y, scale), shift)


@rule("GroupNormalization")
def _group_normalization(call: OnnxCall) -> Tensor:
    call.ignore("stash_type")
    x, groups = call.tensor(0), call.whole("num_groups", 1)
    grouped = ops.reshape(x, (x.shape[0], groups, -1))
    y = ops.reshape(_standardised(grouped, (2,), call.real("epsilon", 1e-5)), x.shape)
    parts = []
    for index in (1, 2):
        numbers = call.weight(index)
        if call.opset < 21:  # one number a group
            repeated = ops.broadcast_to(ops.reshape(numbers, (groups, 1)), (groups, x.shape[1] // groups))
            numbers = ops.reshape(repeated, (x.shape[1],))
        parts.append(ops.reshape(numbers, (x.shape[1], *[1] * (x.rank - 2))))
    return ops.add(ops.multiply(y, parts[0]), parts[1])


@rule("LayerNormalization")
def _layer_normalization(call: OnnxCall) -> Tensor:
    call.ignore("stash_type")
    x, axis = call.tensor(0), call.whole("axis", -1)
    y = _standardised(x, range(axis % x.rank, x.rank), call.real("epsilon", 1e-5))
    y = ops.multiply(y, call.weight(1))
    return ops.add(y, call.weight(2)) if call.has(2) else y


def _standardised(x: Tensor, axes: range | tuple[int, ...], eps: float) -> Tensor:
    """x with mean 0 and variance 1 over `axes`."""
    centred = ops.subtract(x, ops.mean(x, tuple(axes), keepdims=True))
    spread = ops.mean(ops.square(centred), tuple(axes), keepdims=True)
    return ops.multiply(centred, ops.rsqrt(ops.add(spread, eps)))


@rule("LRN")
def _lrn(call: OnnxCall) -> Tensor:
    size = call.whole("size", 0)
    if size < 1 or size % 2 == 0 or size > 255:
        raise Unsupported(f"a neighbourhood of {size} channels; odd numbers up to 255 are")
    alpha, beta = call.real("alpha", 1e-4), call.real("beta", 0.75)
    return ops.local_response_norm(call.tensor(0), size, alpha, beta, call.real("bias", 1.0))


@rule("LpNormalization")
def _lp_normalization(call: OnnxCall) -> Tensor:
    x, axis, p = call.tensor(0), call.whole("axis", -1), call.whole("p", 2)
    if p not in (1, 2):
        raise Unsupported(f"the norm of p = {p}; 1 and 2 are")
    parts = ops.sum(ops.absolute(x) if p == 1 else ops.square(x), axis, keepdims=True)
    norm = parts if p == 1 else ops.sqrt(parts)
    return ops.divide(x, ops.add(norm, ops.equal(norm, 0.0)))  # zeros stay zeros


@rule("Softmax", "LogSoftmax")
def _softmax(call: OnnxCall) -> Tensor:
    x, function = call.tensor(0), ops.softmax if call.node.op == "Softmax" else ops.log_softmax
    if call.opset >= 13:
        return function(x, call.whole("axis", -1))
    axis = call.whole("axis", 1) % max(x.rank, 1)  # before version 13, over all axes from this one on
    if axis == x.rank - 1:
        return function(x, axis)
    matrix = ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))
    return ops.reshape(function(matrix, 1), x.shape)
