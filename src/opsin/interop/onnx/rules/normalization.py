"""Import rules of normalization operators and of softmax."""

from __future__ import annotations

from opsin import ops
from opsin.interop.onnx.call import OnnxCall, UnsupportedError
from opsin.interop.onnx.rules.registry import rule
from opsin.ir import Tensor, product


@rule("BatchNormalization")
def _batch_normalization(call: OnnxCall) -> Tensor:
    call.ignore("momentum")
    if call.attr_int("training_mode", 0):
        raise UnsupportedError("it normalizes with the statistics of the batch; export the network in evaluation mode")
    if not call.attr_int("spatial", 1):
        raise UnsupportedError("it normalizes each pixel separately (spatial = 0)")
    gamma, beta = call.weight(1), call.weight(2)
    mean, var = call.tensor(3), call.tensor(4)  # Not trainable: exported statistics stay fixed.
    return ops.batch_norm(call.tensor(0), gamma, beta, mean, var, call.attr_float("epsilon", 1e-5))


@rule("InstanceNormalization")
def _instance_normalization(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    y = _standardize(x, range(2, x.rank), call.attr_float("epsilon", 1e-5))
    scale, shift = (ops.reshape(call.weight(index), (x.shape[1], *[1] * (x.rank - 2))) for index in (1, 2))
    return ops.add(ops.multiply(y, scale), shift)


@rule("GroupNormalization")
def _group_normalization(call: OnnxCall) -> Tensor:
    call.ignore("stash_type")
    x, groups = call.tensor(0), call.attr_int("num_groups", 1)
    x_groups = ops.reshape(x, (x.shape[0], groups, -1))
    y = ops.reshape(_standardize(x_groups, (2,), call.attr_float("epsilon", 1e-5)), x.shape)
    affine = []
    for index in (1, 2):
        parameter = call.weight(index)
        if call.opset < 21:  # One parameter per group.
            per_channel = ops.broadcast_to(ops.reshape(parameter, (groups, 1)), (groups, x.shape[1] // groups))
            parameter = ops.reshape(per_channel, (x.shape[1],))
        affine.append(ops.reshape(parameter, (x.shape[1], *[1] * (x.rank - 2))))
    return ops.add(ops.multiply(y, affine[0]), affine[1])


@rule("LayerNormalization")
def _layer_normalization(call: OnnxCall) -> Tensor:
    call.ignore("stash_type")
    x, axis = call.tensor(0), call.attr_int("axis", -1)
    y = _standardize(x, range(axis % x.rank, x.rank), call.attr_float("epsilon", 1e-5))
    y = ops.multiply(y, call.weight(1))
    return ops.add(y, call.weight(2)) if call.has(2) else y


def _standardize(x: Tensor, axes: range | tuple[int, ...], eps: float) -> Tensor:
    """Return `x` shifted and scaled to mean 0 and variance 1 over `axes`."""
    deviation = ops.subtract(x, ops.mean(x, tuple(axes), keepdims=True))
    variance = ops.mean(ops.square(deviation), tuple(axes), keepdims=True)
    return ops.multiply(deviation, ops.rsqrt(ops.add(variance, eps)))


@rule("LRN")
def _lrn(call: OnnxCall) -> Tensor:
    size = call.attr_int("size", 0)
    if size < 1 or size % 2 == 0 or size > 255:
        raise UnsupportedError(f"a neighbourhood of {size} channels; odd sizes up to 255 are supported")
    alpha, beta = call.attr_float("alpha", 1e-4), call.attr_float("beta", 0.75)
    return ops.local_response_norm(call.tensor(0), size, alpha, beta, call.attr_float("bias", 1.0))


@rule("LpNormalization")
def _lp_normalization(call: OnnxCall) -> Tensor:
    x, axis, p = call.tensor(0), call.attr_int("axis", -1), call.attr_int("p", 2)
    if p not in (1, 2):
        raise UnsupportedError(f"the norm of p = {p}; 1 and 2 are supported")
    total = ops.sum(ops.absolute(x) if p == 1 else ops.square(x), axis, keepdims=True)
    norm = total if p == 1 else ops.sqrt(total)
    return ops.divide(x, ops.add(norm, ops.equal(norm, 0.0)))  # Zero vectors stay zero.


@rule("Softmax", "LogSoftmax")
def _softmax(call: OnnxCall) -> Tensor:
    x, function = call.tensor(0), ops.softmax if call.node.op == "Softmax" else ops.log_softmax
    if call.opset >= 13:
        return function(x, call.attr_int("axis", -1))
    axis = call.attr_int("axis", 1) % max(x.rank, 1)  # Before opset 13: over all axes from this one on.
    if axis == x.rank - 1:
        return function(x, axis)
    matrix = ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))
    return ops.reshape(function(matrix, 1), x.shape)
