"""From the loss back to one weight, step by step, and the optimizer's update down to the new weight's bits."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from opsin.base.errors import GraphError
from opsin.explain.backpropagation.backward import Backward
from opsin.explain.backpropagation.chain import Chain
from opsin.explain.backpropagation.target import Case, default_target
from opsin.explain.backpropagation.updates import RULES, Updates, operations, state_symbols
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject, SubjectImage
from opsin.inspection.views.backpropagation.checks import central_differences, has_differences
from opsin.inspection.views.backpropagation.parameters import ParameterData
from opsin.inspection.views.backpropagation.selection import choose_parts
from opsin.inspection.views.backpropagation.walk import MAX_DETAILED, loss_table, walk

SHARE = 0.16
"""The share of the page's bytes."""
MAX_IMAGES = 2
"""Images that are traced back; each has its own loss and its own updates."""


class BackpropagationView:
    """A walk from the loss to a weight, its gradient term by term, and its update."""

    name: ClassVar[str] = "backpropagation"
    title: ClassVar[str] = "How it would learn"

    def data(self, subject: Subject, arrays: Arrays) -> dict[str, Any] | None:
        """Return backpropagation for the first images, or None if the loss depends on no parameter."""
        subject.progress("backpropagation")
        images = subject.images[:MAX_IMAGES]
        cases = [_case(subject, image) for image in images]
        subject.release()  # backpropagation has programs of its own
        try:
            backward = Backward(subject.model, cases[0].target.objective)
        except GraphError:
            return None
        budget = int(SHARE * subject.budget) // len(cases)
        parts = [_image(subject, backward, case, arrays, budget) for case in cases]
        left_out = [data.pop("left_out") for data in parts]
        if len(subject.images) > MAX_IMAGES:
            left_out.append(f"backpropagation for the first {MAX_IMAGES} images")
        return {
            "images": parts,
            "rules": [
                {
                    "key": rule.key, "name": rule.name, "formula": rule.formula, "words": rule.words, "rate": rule.rate,
                    "state": list(state_symbols(rule.optimizer)),
                    "operations": [vars(row) for row in operations(rule.optimizer)],
                }
                for rule in RULES
            ],
            "left_out": "; ".join(dict.fromkeys(text for text in left_out if text)),
        }  # fmt: skip

    def markup(self, subject: Subject) -> str:
        return (
            "<p>The gradient of a weight says how the loss changes if the weight grows a little. Here the gradient "
            "of one weight is traced back from the loss through every layer, and then the weight is updated.</p>"
        )


def _case(subject: Subject, image: SubjectImage) -> Case:
    outputs = subject.observer.outputs(image.pixels[None])
    labels = subject.model.labels
    target = labels.index(image.target) if image.target in labels else None
    return Case(image.pixels, default_target(subject.model, outputs, target))


def _image(subject: Subject, backward: Backward, case: Case, arrays: Arrays, budget: int) -> dict[str, Any]:
    step = backward.run(case)
    updates = Updates(backward, step)
    parts = choose_parts(backward, step, budget * 6 // 10)
    chain = Chain(backward, step)
    selection = {part.name: part.take for part in parts}
    data = ParameterData(chain, {rule.key: updates.steps(rule, selection) for rule in RULES}, arrays)
    differences = central_differences(backward, step, parts)
    parameters = [data.of(part, differences[part.name]) for part in parts]
    total = sum(values.size for name, values in subject.model.state.items() if name in backward.parameters)
    chosen = sum(prod(len(axis) for axis in part.axes) for part in parts)
    left_out = [f"gradients of {chosen:,} of {total:,} weights"] if chosen < total else []
    if len(chain.steps) > MAX_DETAILED:
        left_out.append(f"worked examples of {MAX_DETAILED} of {len(chain.steps):,} steps of backpropagation")
    if not has_differences(backward):
        left_out.append("backpropagation without central differences, which take long for this network")
    return {
        "sentence": case.target.sentence,
        "label": case.target.label,
        "loss": float(step.loss),
        "table": loss_table(chain, list(subject.model.labels)),
        "steps": walk(chain, arrays, budget * 4 // 10),
        "parameters": parameters,
        "left_out": "; ".join(left_out),
    }
