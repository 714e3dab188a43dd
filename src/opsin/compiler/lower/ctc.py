"""The loss of connectionist temporal classification and its gradient, sample by sample."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.gather import dense
from opsin.compiler.views import row_major
from opsin.ir import Node
from opsin.kernels.ctc import CTCLoss, CTCLossGradient, row_size

LOSS_ROWS, GRADIENT_ROWS = 4, 5


def ctc_loss(lowering: Lowering, node: Node) -> list[KernelCall]:
    return _lowered(lowering, node, CTCLoss(), ("logits", "labels"), LOSS_ROWS)


def ctc_loss_gradient(lowering: Lowering, node: Node) -> list[KernelCall]:
    frames = node.inputs[0].shape[1]
    assert isinstance(frames, int)
    return _lowered(lowering, node, CTCLossGradient(), ("logits", "labels", "g"), frames + GRADIENT_ROWS)


def _lowered(
    lowering: Lowering, node: Node, spec: CTCLoss | CTCLossGradient, names: tuple[str, ...], rows: int
) -> list[KernelCall]:
    """Return the call for dense operands, after copies of others; a thread needs `rows` rows of scratch memory."""
    operands = [dense(lowering, tensor) for tensor in node.inputs]
    views = {name: view for name, (view, _) in zip(names, operands, strict=True)}
    result = lowering.new(node.output.shape, row_major(node.output.rank))  # type: ignore[arg-type]
    lowering.bind(node.output, result)
    (_, frames, classes), (_, length) = views["logits"].shape, views["labels"].shape
    call = lowering.call(
        spec,
        pointers={**views, "y": result},
        words={"frames": frames, "classes": classes, "length": length},
        partition=Partition.PER_SAMPLE,
        reads=list(views.values()),
        writes=[result],
        scratch=rows * row_size(length, lowering.target.lanes),
    )
    return [*(copy for _, copies in operands for copy in copies), call]


RULES = {"ctc_loss": ctc_loss, "ctc_loss_gradient": ctc_loss_gradient}
