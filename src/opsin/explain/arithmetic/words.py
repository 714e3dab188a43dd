"""Operations in words: what is computed, in which order, and how it is rounded."""

from __future__ import annotations

from opsin.explain.arithmetic.orders import Order
from opsin.explain.arithmetic.terms import Terms
from opsin.explain.stages import Step
from opsin.ir import Node
from opsin.kernels.pointwise import Pointwise
from opsin.kernels.summation import CHANNEL, COLUMN, DEPTH, ROW

POINTWISE_WORDS = {
    "add": "the sum",
    "subtract": "the difference",
    "multiply": "the product",
    "divide": "the quotient",
    "maximum": "the larger number",
    "minimum": "the smaller number",
    "greater": "1 if the first number is greater, otherwise 0",
    "equal": "1 if the numbers are equal, otherwise 0",
    "where": "the second number unless the first is 0, otherwise the third",
    "negate": "the number with the opposite sign",
    "sqrt": "the square root",
    "absolute": "the absolute value",
    "sign": "the sign",
    "relu": "the number if it is positive, otherwise 0",
    "relu6": "the number, limited to 0 to 6",
    "power": "the power",
    "exp": "e to the power of the number",
    "log": "the natural logarithm",
    "tanh": "the hyperbolic tangent",
    "sigmoid": "1 / (1 + e to the power of minus the number)",
    "erf": "the error function",
}
"""What the operations on single numbers return."""
STEP_WORDS = {
    "conv2d": (
        "The kernel lies on a window of the input. Each number under it is multiplied by the weight above it, in all "
        "input channels, and the products are added."
    ),
    "conv_transpose2d": (
        "Every input number is multiplied by a kernel, and the products are laid down at its place, one stride from "
        "those of its neighbour. Where kernels overlap, they are added, over all input channels."
    ),
    "resample2d": (
        "The map is resized. Each result is a weighted mean of the numbers around its place in the input: first along "
        "the columns of each row, then over the rows."
    ),
    "matmul": "Every input is multiplied by a weight of its own, and the products are added.",
    "max_pool2d": "Of the numbers under the window, the largest is kept.",
    "avg_pool2d": "The numbers under the window are added, and the sum is divided by their count.",
    "sum": "All values of a channel are added; the mean is the sum times one over their number.",
    "relu": "Negative numbers become 0; the others stay.",
    "relu6": "Negative numbers become 0, and those above 6 become 6.",
}
"""What steps do, by the operation that determines them."""
GROUPS_WORDS = (
    "The kernel lies on a window of the input. Each number under it is multiplied by the weight above it, in the input "
    "channels of its group alone, and the products are added."
)
DEPTHWISE_WORDS = (
    "Every channel has a kernel of its own, and does not see the others. Each number under the kernel is multiplied by "
    "the weight above it, and the products are added."
)
NORM_WORDS = (
    "With fixed statistics, batch normalization multiplies each channel by a scale, γ / √(variance + ε), and adds a "
    "shift, β − mean × scale."
)
SOFTMAX_WORDS = (
    "The largest number is subtracted from all, so that no power overflows. Each becomes a power of e, and is divided "
    "by the sum of all powers: the results are positive and add up to 1."
)
AXES = {ROW: "row", COLUMN: "column", CHANNEL: "channel", DEPTH: "input"}


def step_words(step: Step) -> str:
    """Return what a step does, in one or two sentences; nothing if the operations speak for themselves."""
    if step.kind == "softmax":
        return SOFTMAX_WORDS
    if step.name == "batch norm":
        return NORM_WORDS
    groups = max((node.attrs["groups"] for node in step.nodes if node.op.name == "conv2d"), default=1)
    if groups > 1:
        return DEPTHWISE_WORDS if "depthwise" in step.kind else GROUPS_WORDS
    names = [node.op.name for node in step.nodes]
    return next((words for name, words in STEP_WORDS.items() if name in names), "")


def operation_words(node: Node, order: Order | None, terms: Terms | None) -> str:
    """Return one sentence about an operation at one place."""
    name = node.op.name
    if terms is None:
        return POINTWISE_WORDS.get(name, name)
    count, outside = terms.left.shape[0], int((~terms.inside).sum())
    padding = f"; {outside} of them are in the padding" if outside and terms.segments is None else ""
    if name in ("max", "max_pool2d"):
        return f"the largest of {count} numbers{padding}"
    what = f"the sum of {count} {'products' if terms.right is not None else 'numbers'}{padding}"
    if name == "avg_pool2d":
        what += ", times one over the number of terms"
    return f"{what}; {order_words(order, terms.right is not None)}"


def order_words(order: Order | None, products: bool) -> str:
    """Return in which order, and with which roundings, terms are added."""
    if order is not None and order.summation is None and order.kernel == Pointwise.__name__:
        return "the engine moves a constant factor of its terms behind this sum, so the last digits can differ"
    if order is None or order.summation is None:
        return "the engine computes this sum in another way, so the last digits can differ"
    summation = order.summation
    loops = [f"{AXES[axis]} by {AXES[axis]}" for axis in summation.axes]
    words = f"the engine adds {', within it '.join(loops)}" if loops[1:] else "the engine adds the terms in order"
    if summation.lanes > 1:
        words += f"; {summation.lanes} partial sums take the terms in turn, and are added at the end"
    if summation.weighted:
        words += "; the sum of each row is multiplied by the weight of the row, and added"
    elif summation.segment is not None:
        words += f"; sums of {summation.segment} terms are added"
    if summation.unroll > 1:
        words += f", {summation.unroll} terms at a time"
    if products:
        rounding = (
            "products are added without being rounded (fused multiply-add)"
            if order.fused
            else "each product is rounded, then added"
        )
        words += f"; {rounding}"
    return words
