"""Matrix products: by chunk, by rows, in stripes of a large operand, and transposed for their epilogue."""

from __future__ import annotations

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.compiler.lower.context import Lowering
from opsin.ir import input_tensor, variable
from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered, pointer, word

K, N = 20, 10


def test_a_linear_layer_is_one_call_with_its_bias_and_activation(any_target: Target) -> None:
    x, w, bias = input_tensor("x", (64, K)), variable("w", (N, K)), variable("b", (N,))
    (call,) = lowered(ops.relu(ops.add(ops.matmul(x, w, transpose_b=True), bias)), [x], any_target, 64)
    assert kernels([call]) == ["MatMul"] and call.fused == ("add", "relu")
    assert (call.partition, call.blocks, call.macs) == (Partition.PER_CHUNK, 16, 64 * K * N)
    assert call.spec.epilogue.operands == ("channel",)


def test_a_weight_gradient_is_read_without_copies(any_target: Target) -> None:
    g, x = input_tensor("g", (64, N)), input_tensor("x", (64, K))
    (call,) = lowered(ops.matmul(g, x, transpose_a=True), [g, x], any_target, 64)
    assert kernels([call]) == ["MatMul"] and call.partition is Partition.ANY
    assert pointer(call, "a").shape == (N, 64) and word(call, "a_step") == N


def test_an_operand_of_uneven_steps_is_copied(any_target: Target) -> None:
    x, w = input_tensor("x", (64, 2 * K)), variable("w", (K, N))
    halves = ops.slice(ops.exp(x), (0, 0), (64, 2 * K), (1, 2))
    calls = lowered(ops.matmul(halves, w), [x], any_target, 64)
    assert kernels(calls) == ["Pointwise", "Pointwise", "MatMul"]
    assert pointer(calls[-1], "a").is_dense((0, 1))


def test_a_large_right_operand_is_read_in_stripes(any_target: Target) -> None:
    columns = Lowering.costs.matmul_wide_min_elements // 1024
    for rows, transposed in ((2, False), (2, True), (64, False)):
        x, w = input_tensor("x", (rows, 1024)), input_tensor("w", (columns, 1024) if transposed else (1024, columns))
        (call,) = lowered(ops.matmul(x, w, transpose_b=transposed), [x, w], any_target, rows)
        assert kernels([call]) == ["MatMulWide"] and call.partition is Partition.ANY
        assert call.spec.transposed == transposed
        assert call.spec.packed == (transposed or rows > Lowering.costs.matmul_wide_max_unpacked_rows)
    small = variable("w", (1024, columns - 1))
    assert kernels(lowered(ops.matmul(x, small), [x], any_target, rows)) == ["MatMul"]


def test_variables_are_stored_in_the_order_that_the_product_reads(any_target: Target) -> None:
    x, w = input_tensor("x", (2, 1024)), variable("w", (128, 1024))
    (call,) = lowered(ops.matmul(x, w, transpose_b=True), [x], any_target, 2)
    assert kernels([call]) == ["MatMulWide"] and not call.spec.transposed


def test_the_result_takes_the_order_of_what_is_added_to_it(any_target: Target) -> None:
    a, b, c = input_tensor("a", (7, N)), input_tensor("b", (7, K)), input_tensor("c", (K, N))
    y = ops.add(ops.matmul(a, b, transpose_a=True), ops.transpose(c, (1, 0)))
    (call,) = lowered(y, [a, b, c], any_target, 4)
    assert pointer(call, "a").shape == (K, 7) and pointer(call, "b").shape == (7, N)
