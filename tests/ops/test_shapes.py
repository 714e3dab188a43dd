"""Shape rules: the text of their errors, and shapes with a free batch."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from opsin import ops
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError, ShapeError
from opsin.ir import BATCH, FLOAT, INT, Graph, Shape, Size, Tensor, input_tensor, scope
from opsin.ops import OPS
from tests.support import relative_error


def tensor(*shape: int | Size, dtype: str = FLOAT) -> Tensor:
    return input_tensor("x", shape, dtype)


IMAGE = tensor(BATCH, 3, 8, 8)
LABELS = tensor(BATCH, dtype=INT)

MISFITS: list[tuple[Callable[[], object], str]] = [
    (
        lambda: ops.conv2d(IMAGE, tensor(6, 4, 5, 5)),
        "conv2d: 3 input channels, but the weight 6 × 4 × 5 × 5 expects 4; feed as many channels as the weight has",
    ),
    (
        lambda: ops.conv2d(IMAGE, tensor(6, 2, 5, 5), groups=2),
        "conv2d: 3 input channels, but the weight 6 × 2 × 5 × 5 in 2 groups expects 4; "
        "feed as many channels as the weight has",
    ),
    (lambda: ops.conv2d(IMAGE, tensor(5, 1, 3, 3), groups=3), "conv2d: 5 filters do not divide into 3 groups"),
    (
        lambda: ops.conv2d(tensor(BATCH, 1, 3, 3), tensor(6, 1, 5, 5)),
        "conv2d: kernel 5 × 5 is larger than the padded input 3 × 3; add padding or feed larger images",
    ),
    (
        lambda: ops.conv2d(tensor(BATCH, 1, 3, 3), tensor(6, 1, 3, 3), dilation=2, padding=((0, 1), (1, 1))),
        "conv2d: kernel 3 × 3 (dilated to 5 × 5) is larger than the padded input 4 × 5; "
        "add padding or feed larger images",
    ),
    (
        lambda: ops.conv2d(tensor(BATCH, 400), tensor(6, 1, 3, 3)),
        "conv2d: expected N × channels × rows × columns, got N × 400",
    ),
    (
        lambda: ops.conv2d(IMAGE, tensor(6, 3)),
        "conv2d: expected a weight filters × channels/groups × rows × columns, got 6 × 3",
    ),
    (
        lambda: ops.conv2d(IMAGE, tensor(6, 3, 3, 3), stride=0),
        "conv2d: image 8 × 8, kernel 3 × 3, stride 0 × 0 and dilation 1 × 1 must all be at least 1",
    ),
    (
        lambda: ops.conv2d(IMAGE, tensor(6, 3, 3, 3), padding=-1),
        "conv2d: padding ((-1, -1), (-1, -1)) must not be negative; use slice to crop",
    ),
    (
        lambda: ops.conv2d(IMAGE, tensor(6, 3, 3, 3), stride=(1, 1, 1)),  # type: ignore[arg-type]
        "conv2d: expected a number or (rows, columns), got (1, 1, 1)",
    ),
    (
        lambda: ops.conv_transpose2d(IMAGE, tensor(3, 1, 2, 2), stride=2, output_padding=2),
        "conv_transpose2d: output_padding 2 × 2 must be smaller than the stride 2 × 2",
    ),
    (
        lambda: ops.conv_transpose2d(IMAGE, tensor(3, 1, 2, 2), dilation=(3, 2), output_padding=2),
        "conv_transpose2d: output_padding 2 × 2 must be smaller than the stride 1 × 1 or the dilation 3 × 2",
    ),
    (
        lambda: ops.max_pool2d(IMAGE, 2, padding=3, dilation=2),
        "max_pool2d: padding ((3, 3), (3, 3)) must be smaller than the window 3 × 3",
    ),
    (
        lambda: ops.max_pool2d(IMAGE, 2, padding=2),
        "max_pool2d: padding ((2, 2), (2, 2)) must be smaller than the window 2 × 2",
    ),
    (
        lambda: ops.avg_pool2d(IMAGE, 9),
        "avg_pool2d: kernel 9 × 9 is larger than the padded input 8 × 8; add padding or feed larger images",
    ),
    (
        lambda: ops.linear(tensor(BATCH, 400), tensor(120, 256)),
        "linear: 400 input features, but the weight 120 × 256 expects 256",
    ),
    (
        lambda: ops.linear(IMAGE, tensor(10, 192)),
        "linear: expected N × features, got N × 3 × 8 × 8; flatten it first",
    ),
    (
        lambda: ops.matmul(tensor(4, 5), tensor(6, 5)),
        "matmul: (4 × 5) · (6 × 5) needs as many columns on the left (5) as rows on the right (6)",
    ),
    (
        lambda: ops.matmul(tensor(4, 5), tensor(6, 7), transpose_a=True, transpose_b=True),
        "matmul: (4 × 5)ᵀ · (6 × 7)ᵀ needs as many columns on the left (4) as rows on the right (7)",
    ),
    (
        lambda: ops.add(IMAGE, tensor(3)),
        "add: N × 3 × 8 × 8 and 3 do not match; counted from the last axis, sizes must agree or be 1",
    ),
    (
        lambda: ops.add(tensor(BATCH, 2), tensor(3, 2)),
        "add: N × 2 and 3 × 2 do not match; counted from the last axis, sizes must agree or be 1",
    ),
    (
        lambda: ops.multiply(LABELS, tensor(BATCH)),
        "multiply: N int and N differ in dtype; cast the whole numbers first",
    ),
    (lambda: ops.exp(LABELS), "exp: expected real numbers, got N int; cast the whole numbers first"),
    (lambda: ops.reshape(tensor(2, 6), (4, 4)), "reshape: 2 × 6 has 12 elements, 4 × 4 would have 16"),
    (lambda: ops.reshape(tensor(2, 6), (5, -1)), "reshape: 2 × 6 cannot take the shape 5 × -1"),
    (lambda: ops.reshape(tensor(2, 6), (-1, -1)), "reshape: only one size of -1 × -1 may be -1"),
    (lambda: ops.transpose(tensor(2, 6), (0, 0)), "transpose: (0, 0) is not an order of the 2 axes of 2 × 6"),
    (lambda: ops.squeeze(tensor(2, 1), 0), "squeeze: axes (0,) of 2 × 1 are not all of size 1"),
    (lambda: ops.sum(tensor(2, 1), (0, 2)), "sum: 2 × 1 has no such axes as (0, 2)"),
    (lambda: ops.broadcast_to(tensor(2), (3,)), "broadcast_to: 2 and 3 do not match; counted from the last axis"),
    (lambda: ops.broadcast_to(tensor(1, 3), (3,)), "broadcast_to: 1 × 3 cannot be repeated to 3"),
    (lambda: ops.slice(tensor(5), (3,), (3,)), "slice: 3:3:1 does not cut anything out of an axis of 5"),
    (lambda: ops.slice(tensor(5), (0,), (6,)), "slice: 0:6:1 does not cut anything out of an axis of 5"),
    (lambda: ops.pad(tensor(5), (-1,), (0,)), "pad: negative padding of 5 (low (-1,), high (0,), interior (0,)); use"),
    (lambda: ops.concat([tensor(2, 3), tensor(3, 3)], 1), "concat: 2 × 3 and 3 × 3 may differ only in axis 1"),
    (lambda: ops.concat([]), "concat: needs at least one tensor"),
    (lambda: ops.one_hot(tensor(BATCH), 10), "one_hot: labels are whole numbers, got N of real ones"),
    (lambda: ops.one_hot(LABELS, 0), "one_hot: expected at least one class, got 0"),
    (
        lambda: OPS["cast"](IMAGE, dtype="float"),
        "cast: converts whole numbers into real ones and real ones into whole ",
    ),
    (lambda: ops.gather(IMAGE, LABELS), "gather: expected a table rows × features, got N × 3 × 8 × 8"),
    (
        lambda: ops.gather(tensor(5, 2), tensor(BATCH)),
        "gather: indices are whole numbers, got N of real ones; cast them",
    ),
    (
        lambda: ops.conv1d(tensor(BATCH, 3, 2, 8), tensor(4, 3, 3)),
        "conv1d: expected a sequence N × channels × time, or ",
    ),
    (
        lambda: ops.conv1d(tensor(BATCH, 3, 8), tensor(4, 3)),
        "conv1d: expected a weight filters × channels × taps, got 4",
    ),
    (
        lambda: ops.upsample(IMAGE, 2, mode="cubic"),
        "resample2d: no mode 'cubic'; expected one of nearest, bilinear, bilinear_corners, area",
    ),
    (lambda: ops.upsample(IMAGE), "upsample: expected either a scale_factor or a size"),
    (
        lambda: ops.batch_norm_training(IMAGE, tensor(4), tensor(4)),
        "batch_norm: expected one number for each channel of N × 3 × 8 × 8, got 4",
    ),
    (
        lambda: ops.dropout(IMAGE, 0.0, LABELS, LABELS, 0),
        "dropout: expected a probability to keep in (0, 1], got 0.0",
    ),
]


@pytest.mark.parametrize(("make", "text"), MISFITS)
def test_shape_errors_describe_the_mismatch(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        make()
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(("make", "text"), MISFITS)
def test_shape_errors_name_the_layer(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ShapeError) as caught, scope("features.3"):
        make()
    assert str(caught.value).startswith(f"layer features.3: {text}")


def test_gradient_operations_check_their_shapes() -> None:
    move = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    with pytest.raises(ShapeError, match="over 8 × 8 the kernel 3 × 3 has 6 × 6 positions, but 5 × 5 were given"):
        OPS["conv2d_weight"](IMAGE, tensor(BATCH, 4, 5, 5), **move, kernel=(3, 3))
    with pytest.raises(ShapeError, match="do not belong together in 1 groups"):
        OPS["conv2d_weight"](IMAGE, tensor(7, 4, 6, 6), **move, kernel=(3, 3))
    pool = {"window": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "ceil_mode": False}
    with pytest.raises(ShapeError, match="pools to N × 3 × 4 × 4, but the gradient is N × 3 × 8 × 8"):
        OPS["max_pool2d_grad"](IMAGE, IMAGE, **pool)
    with pytest.raises(ShapeError, match="N × 3 × 9 × 9 pools to N × 3 × 4 × 4, but the gradient is N × 3 × 8 × 8"):
        OPS["avg_pool2d_grad"](IMAGE, **pool, count_include_pad=True, size=(9, 9))


def test_a_loss_is_a_scalar() -> None:
    with pytest.raises(GraphError, match="expected a scalar loss, got N × 3 × 8 × 8; take its mean or sum first"):
        ops.gradients(IMAGE, [IMAGE])


def test_an_operation_is_registered_once() -> None:
    with pytest.raises(GraphError, match="two operations are called 'conv2d'"):
        ops.register(OPS["conv2d"])


FREE: list[tuple[Callable[[Tensor], Tensor], Shape]] = [
    (lambda x: ops.flatten(x), (BATCH, 60)),
    (lambda x: ops.reshape(x, (-1, 5)), (12 * BATCH, 5)),
    (lambda x: ops.mean(x, (0, 2, 3)), (3,)),
    (lambda x: ops.mean(x), ()),
    (lambda x: ops.max(x, 0), (3, 4, 5)),
    (lambda x: ops.concat([x, x], 0), (2 * BATCH, 3, 4, 5)),
    (lambda x: ops.narrow(ops.concat([x, x], 0), 0, x.shape[0], x.shape[0]), (BATCH, 3, 4, 5)),
    (lambda x: ops.pad(x, (0, 1, 0, 0), (0, 0, 2, 0), (0, 0, 0, 1)), (BATCH, 4, 6, 9)),
    (lambda x: ops.broadcast_to(ops.sum(x, 0), x.shape), (BATCH, 3, 4, 5)),
    (lambda x: ops.matmul(ops.flatten(x), ops.flatten(x), transpose_a=True), (60, 60)),
    (lambda x: ops.batch_norm_training(x, ops.sum(x, (0, 2, 3)), ops.mean(x, (0, 2, 3)))[0], (BATCH, 3, 4, 5)),
    (lambda x: ops.global_avg_pool2d(ops.max_pool2d(x, 2, 1)), (BATCH, 3, 1, 1)),
    (lambda x: ops.upsample(x, 2), (BATCH, 3, 8, 10)),
    (lambda x: ops.dropout(x, 0.5, ops.constant(1, INT), ops.constant(2, INT), 0), (BATCH, 3, 4, 5)),
    (lambda x: ops.local_response_norm(x, 3), (BATCH, 3, 4, 5)),
    (lambda x: ops.softmax(x, 0), (BATCH, 3, 4, 5)),
]


@pytest.mark.parametrize(("function", "shape"), FREE)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_free_batch_computes_the_same_as_a_bound_one(
    function: Callable[[Tensor], Tensor], shape: Shape, batch: int
) -> None:
    """Traced with a free batch and bound later, values and gradients are those of a trace with the number."""
    values = np.random.default_rng(0).standard_normal((batch, 3, 4, 5))
    found = []
    for size in (BATCH, batch):
        x = input_tensor("x", (size, 3, 4, 5))
        y = function(x)
        if size is BATCH:
            assert y.shape == shape
        (gradient,) = ops.gradients(ops.sum(ops.multiply(y, y)), [x])
        assert gradient is not None
        graph = Graph((x,), {"y": y, "gradient": gradient}).verify()
        found.append(Reference(graph, batch, np.float64).run(x=values))
    assert relative_error(found[0]["y"], found[1]["y"]) < 1e-15
    assert np.max(np.abs(found[0]["gradient"] - found[1]["gradient"])) < 1e-12 * np.max(np.abs(found[1]["y"]) + 1)


def test_a_mean_over_the_batch_divides_by_a_size() -> None:
    node = ops.mean(IMAGE).node
    (divisor,) = [t for t in node.inputs if t.node.op.name == "constant"]
    assert divisor.node.attrs["value"] == Size(Fraction(1, 192), -1)


def test_numbers_become_constants_of_the_tensors_dtype() -> None:
    step = input_tensor("step", (), INT)
    after = ops.add(step, 1)
    assert after.dtype == INT
    assert Reference(Graph((step,), {"after": after}), 1).run(step=41)["after"] == 42
    assert ops.add(1.0, 2).dtype == FLOAT


def test_trivial_operations_create_no_nodes() -> None:
    x = tensor(2, 1, 3)
    for same in (
        ops.reshape(x, (2, 1, 3)),
        ops.sum(x, 1, keepdims=True),
        ops.mean(x, 1, keepdims=True),
        ops.concat([x]),
        ops.broadcast_to(x, (2, 1, 3)),
        ops.flatten(x, 2),
    ):
        assert same is x
    image = tensor(2, 3, 4, 4)
    assert ops.adaptive_avg_pool2d(image, 4) is image
    assert ops.upsample(image, 1) is image


def test_macs_are_counted_as_in_papers() -> None:
    """LeNet-5's first convolution: 28 · 28 places, 6 filters of 1 · 5 · 5 taps, for each image."""
    y = ops.conv2d(tensor(BATCH, 1, 32, 32), tensor(6, 1, 5, 5))
    assert y.node.op.macs(y.node) == 117_600 * BATCH
    grouped = ops.conv2d(tensor(2, 8, 5, 5), tensor(8, 1, 3, 3), groups=8, padding=1)
    assert grouped.node.op.macs(grouped.node) == 2 * 25 * 8 * 9
    product = ops.linear(tensor(BATCH, 400), tensor(120, 400))
    assert product.node.op.macs(product.node) == 48_000 * BATCH
    transposed = ops.conv_transpose2d(tensor(2, 8, 5, 5), tensor(8, 3, 2, 2), stride=2)
    assert transposed.node.op.macs(transposed.node) == 2 * 8 * 25 * 3 * 4
    pooled = ops.max_pool2d(y, 2)
    assert pooled.node.op.macs(pooled.node) == 0


def test_the_gradients_of_a_convolution_have_as_many_macs() -> None:
    x, w = tensor(2, 4, 9, 9), tensor(6, 2, 3, 3)
    y = ops.conv2d(x, w, stride=2, groups=2)
    costs = [g.node.op.macs(g.node) for g in ops.gradients(ops.sum(y), [x, w]) if g is not None]
    assert costs == [y.node.op.macs(y.node)] * 2


def test_windows_for_the_receptive_field() -> None:
    y = ops.conv2d(IMAGE, tensor(6, 3, 3, 2), stride=(2, 1), dilation=(2, 3))
    assert y.node.op.window(y.node) == ((5, 2), (4, 1))
    for pooled in (ops.max_pool2d(IMAGE, (3, 2), 1), ops.avg_pool2d(IMAGE, (3, 2), 1)):
        assert pooled.node.op.window(pooled.node) == ((3, 1), (2, 1))
    assert ops.relu(IMAGE).node.op.window(IMAGE.node) is None
