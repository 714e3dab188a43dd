"""What each kind of step does to a gradient, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.explain.backpropagation.backward import Pass
from opsin.explain.backpropagation.target import Target
from opsin.explain.stages import Step
from opsin.ir import Tensor
from opsin.viz import captions

SENTENCES = {
    captions.CONV: "Every input gets the gradients of all outputs that read it, each times the weight under which they "
    "did: a convolution of δ with the kernels rotated by 180°.",
    captions.DEPTHWISE: "Every input gets the gradients of the outputs of its channel that read it, each times the "
    "weight under which they did: a convolution of δ with the kernel rotated by 180°.",
    captions.LINEAR: "Every input gets the gradients of all outputs, each times the weight between them: Wᵀ · δ.",
    captions.MAX_POOL: "The gradient of each output goes to the largest number of its window; the others get 0.",
    captions.AVERAGE_POOL: "The gradient of each output is spread evenly over the n numbers of its window: each gets "
    "δ / n.",
    captions.RESAMPLE: "Every input gets the gradients of the outputs that were interpolated from it, each times its "
    "share in them.",
    captions.CONCAT: "Every input gets the part of the gradient that belongs to its channels.",
    captions.ADD: "An addition copies the gradient to every map that was added.",
    captions.MULTIPLY: "Each factor gets the gradient times the other factor.",
    captions.REARRANGE: "The numbers only changed places, and their gradients go back to them.",
    captions.INPUT_KIND: "This is the gradient for the image itself: how the loss changes with each pixel.",
}
"""The sentence for each kind of step."""
FUNCTIONS = {
    "batch norm": "With fixed statistics, a batch normalization multiplies each channel by γ / √(variance + ε), and "
    "its gradient by the same factor.",
    "scale and shift": "Each channel was multiplied by a number, and so is its gradient.",
}
SLOPE = "The gradient of each number is multiplied by the slope of the function there."


def loss_sentence(target: Target) -> str:
    """Say what the loss is, and how its gradient starts."""
    if target.label is None:
        return f"{target.sentence} Backpropagation starts from its derivative for each output."
    return (
        "Through softmax and logarithm together, the gradient of each logit is p − y: the "
        "probability of its class, minus 1 for the class that the loss asks for."
    )


def sentence(step: Step, sources: Sequence[Tensor], readers: int, values: Pass) -> str:
    """Say what a step does to the gradient; `readers` is the number of steps that read its output."""
    text = _gates(step, sources, values) or FUNCTIONS.get(step.name) or SENTENCES.get(step.kind, SLOPE)
    if readers > 1:
        text = f"{readers} steps read this map: the gradients that come back from them are added. {text}"
    return text


def _gates(step: Step, sources: Sequence[Tensor], values: Pass) -> str | None:
    """Say where a ReLU or ReLU6 lets the gradient pass."""
    name = step.nodes[-1].op.name
    if name not in ("relu", "relu6") or len(step.nodes) > 1:
        return None
    output = values.values[step.output]
    passes = output > 0 if name == "relu" else (output > 0) & (output < 6)
    where = "positive" if name == "relu" else "between 0 and 6"
    return (
        f"The gradient passes where the input was {where}, and becomes 0 elsewhere: it passes at "
        f"{int(np.count_nonzero(passes)):,} of {passes.size:,} places."
    )
