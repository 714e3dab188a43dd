"""Operations: shape rule, NumPy reference, gradient and cost of each, one idea per file.

The primitives, which backends know by name, are in `OPS`; the functions below apply them to tensors, or compose them.
Nothing here knows about memory layouts, threads or speed.

Arguments are validated here, at the public interface; calls between operations are not checked again.
"""

from inspect import isfunction

from opsin.ir.checked import checked
from opsin.ops import operators as operators
from opsin.ops.activation import gelu, hard_sigmoid, hard_swish, leaky_relu, silu
from opsin.ops.argmax import argmax
from opsin.ops.arithmetic import add, divide, multiply, negate, square, subtract
from opsin.ops.batch_norm import batch_norm, batch_norm_training
from opsin.ops.broadcast import broadcast_to, sum
from opsin.ops.cast import cast
from opsin.ops.compare import equal, greater
from opsin.ops.concat import concat
from opsin.ops.constant import Operand, constant
from opsin.ops.conv2d import conv2d, conv_transpose2d
from opsin.ops.conv3d import conv3d
from opsin.ops.ctc import ctc_loss
from opsin.ops.dropout import bernoulli, dropout
from opsin.ops.extrema import clip, maximum, minimum
from opsin.ops.gather import gather
from opsin.ops.gradients import gradients
from opsin.ops.lrn import local_response_norm
from opsin.ops.matmul import linear, matmul
from opsin.ops.one_hot import one_hot
from opsin.ops.pool3d import avg_pool3d, global_avg_pool3d, max_pool3d
from opsin.ops.pool_avg import adaptive_avg_pool2d, avg_pool2d, global_avg_pool2d, l2_pool2d, sum_pool2d
from opsin.ops.pool_max import global_max_pool2d, max_pool2d
from opsin.ops.quantized.add import add_int8
from opsin.ops.quantized.avg_pool2d import avg_pool2d_int8
from opsin.ops.quantized.conv2d import conv2d_int8, conv2d_int32
from opsin.ops.quantized.convert import dequantize, quantize
from opsin.ops.quantized.fake_quantize import fake_quantize
from opsin.ops.quantized.int16 import join_bytes, rescale, split_bytes
from opsin.ops.quantized.lookup import lookup_int8
from opsin.ops.quantized.multiply import multiply_int8
from opsin.ops.reduce import max, mean, variance
from opsin.ops.registry import OPS, Array, Primitive, Sample, register
from opsin.ops.resample import axis_weights, resample2d, upsample
from opsin.ops.reshape import flatten, reshape, squeeze
from opsin.ops.sequence import avg_pool1d, conv1d, global_avg_pool1d, global_max_pool1d, max_pool1d
from opsin.ops.slice_pad import narrow, pad, slice
from opsin.ops.softmax import log_softmax, softmax
from opsin.ops.stop_gradient import stop_gradient
from opsin.ops.transpose import transpose
from opsin.ops.unary import absolute, erf, exp, log, power, relu, relu6, rsqrt, sigmoid, sign, sqrt, tanh
from opsin.ops.where import where

__all__ = [
    "OPS", "Array", "Operand", "Primitive", "Sample", "absolute", "adaptive_avg_pool2d", "add", "add_int8", "argmax",
    "avg_pool1d", "avg_pool2d", "avg_pool2d_int8", "avg_pool3d", "axis_weights", "batch_norm", "batch_norm_training",
    "bernoulli", "broadcast_to", "cast", "clip", "concat", "constant", "conv1d", "conv2d", "conv2d_int8",
    "conv2d_int32", "conv3d", "conv_transpose2d", "ctc_loss", "dequantize", "divide", "dropout", "equal", "erf", "exp",
    "fake_quantize", "flatten", "gather", "gelu", "global_avg_pool1d", "global_avg_pool2d", "global_avg_pool3d",
    "global_max_pool1d", "global_max_pool2d", "gradients", "greater", "hard_sigmoid", "hard_swish", "join_bytes",
    "l2_pool2d", "leaky_relu", "linear", "local_response_norm", "log", "log_softmax", "lookup_int8", "matmul", "max",
    "max_pool1d", "max_pool2d", "max_pool3d", "maximum", "mean", "minimum", "multiply", "multiply_int8", "narrow",
    "negate", "one_hot", "pad", "power", "quantize", "register", "relu", "relu6", "resample2d", "rescale", "reshape",
    "rsqrt", "sigmoid", "sign", "silu", "slice", "softmax", "split_bytes", "sqrt", "square", "squeeze", "stop_gradient",
    "subtract", "sum", "sum_pool2d", "tanh", "transpose", "upsample", "variance", "where",
]  # fmt: skip

for _name in __all__:
    if isfunction(globals()[_name]):
        globals()[_name] = checked(globals()[_name])
