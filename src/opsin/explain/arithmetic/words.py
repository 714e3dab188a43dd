"""Operations in words: what is computed, in which order, and how it is rounded."""

from __future__ import annotations

from opsin.explain.arithmetic.orders import Order
from opsin.explain.arithmetic.terms import Terms
from opsin.ir import Node
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
    "negate": "the opposite number",
    "sqrt": "the square root",
    "absolute": "the absolute value",
    "sign": "the sign",
    "relu": "the number if it is positive, otherwise 0",
    "relu6": "the number, but at least 0 and at most 6",
    "power": "the power",
    "exp": "e to the power of the number",
    "log": "the natural logarithm",
    "tanh": "the hyperbolic tangent",
    "sigmoid": "1 / (1 + e to the power of the opposite number)",
    "erf": "the error function",
}
"""What the operations on single numbers return."""
AXES = {ROW: "rows", COLUMN: "columns", CHANNEL: "channels", DEPTH: "inputs"}


def operation_words(node: Node, order: Order | None, terms: Terms | None) -> str:
    """Return one sentence about an operation at one place."""
    name = node.op.name
    if terms is None:
        return POINTWISE_WORDS.get(name, name)
    count, outside = terms.left.shape[0], int((~terms.inside).sum())
    padding = f"; {outside} of them are in the padding" if outside else ""
    if name in ("max", "max_pool2d"):
        return f"the largest of {count} numbers{padding}"
    what = f"the sum of {count} {'products' if terms.right is not None else 'numbers'}{padding}"
    if name == "avg_pool2d":
        what += ", times one over the number of terms"
    return f"{what}; {order_words(order, terms.right is not None)}"


def order_words(order: Order | None, products: bool) -> str:
    """Return in which order, and with which roundings, terms are added."""
    if order is None or order.summation is None:
        return "the engine adds in another order, so that the last digits can differ"
    summation = order.summation
    loops = [AXES[axis] for axis in summation.axes]
    words = f"the loops over {', '.join(loops[:-1])} are outside, that over {loops[-1]} inside" if loops[1:] else "in order"
    if summation.lanes > 1:
        words += f"; {summation.lanes} partial sums take turns and are added at the end"
    if summation.segment is not None:
        words += f"; sums of {summation.segment} terms are added"
    if summation.unroll > 1:
        words += f", {summation.unroll} terms at a time"
    if products:
        rounding = "a product is added without being rounded" if order.fused else "each product is rounded, then added"
        words += f"; {rounding}"
    return words
