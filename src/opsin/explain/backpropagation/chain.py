"""The path from the loss back to a layer: what each step of the network does to the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.base.concurrency import lazy
from opsin.explain.backpropagation.backward import Backward, Pass
from opsin.explain.backpropagation.examples import Example, worked_example
from opsin.explain.backpropagation.listing import Listing
from opsin.explain.backpropagation.sentences import loss_sentence, sentence
from opsin.explain.stages import Stage, Step
from opsin.ir import Node, Tensor


@dataclass(frozen=True, eq=False)
class BackwardStep:
    """One step of a stage in backpropagation: from the gradient of `output` to those of `sources`.

    `stage` is None for the loss, whose `sources` are the network's outputs.
    """

    stage: Stage | None
    step: Step | None
    name: str
    output: Tensor
    sources: tuple[Tensor, ...]
    sentence: str
    lines: tuple[str, ...]
    """The lines of the backward graph that compute the gradients of the `sources`."""


class Chain:
    """The steps of a network in the order of backpropagation, with the values and gradients of one image."""

    def __init__(self, backward: Backward, step: Pass) -> None:
        self.backward, self.values = backward, step
        self.listing = Listing(backward)
        self._step_of: dict[Node, Step] = {n: s for stage in backward.stages for s in stage.steps for n in s.nodes}
        self._given = {tensor.node for tensor in backward.gradients.values()}
        self._outputs = {s.output: s for stage in backward.stages for s in stage.steps}
        self.steps = self._all_steps()
        self.numbers = {step: number for number, step in enumerate(self.steps)}
        """The place of each step in `steps`."""

    def to(self, name: str) -> list[BackwardStep]:
        """Return the steps from the loss back to those that use the parameter `name`, which come last."""
        users = [s for use in self.backward.uses[name] if (s := self._step_of.get(use.node)) is not None]
        reached: set[Tensor] = {user.output for user in users}
        path = []
        for step in reversed(self.steps):  # forwards: what depends on the layer
            if step.output in reached or not reached.isdisjoint(step.sources):
                reached.add(step.output)
                path.append(step)
        return path[::-1]

    def parameter_lines(self, name: str) -> list[str]:
        """Return the lines of the backward graph that compute a parameter's gradient from its outputs' gradients."""
        gradients = self.backward.gradients
        return self.listing.of([gradients[self.backward.parameters[name]]], self._observed)

    @lazy
    def _observed(self) -> set[Node]:
        gradients = self.backward.gradients
        return {gradients[t].node for t in self.backward.observed if t in gradients}

    def example(self, step: BackwardStep) -> Example | None:
        """Return one element of the gradient of a step's first source, worked out in numbers; None for other steps."""
        return worked_example(self.backward, self.values, step.step, step.sources) if step.step else None

    def _all_steps(self) -> list[BackwardStep]:
        backward, gradients = self.backward, self.backward.gradients
        outputs = tuple(t for t in backward.network.outputs.values() if t in gradients)
        lines = self.listing.of([gradients[t] for t in outputs])
        words = loss_sentence(self.values.case.target)
        steps = [BackwardStep(None, None, "loss", backward.loss, outputs, words, tuple(lines))]
        parts = [(stage, step) for stage in reversed(backward.stages) for step in reversed(stage.steps)]
        return steps + [self._step(stage, step) for stage, step in parts if step.output in gradients]

    def _step(self, stage: Stage, step: Step) -> BackwardStep:
        gradients = self.backward.gradients
        inner = set(step.nodes)
        read = dict.fromkeys(t for node in step.nodes for t in node.inputs if t.node not in inner)
        sources = tuple(t for t in read if t in self._outputs)
        results = [gradients[t] for t in sources if t in gradients]
        lines = self.listing.of(results, self._given)
        words = sentence(step, sources, self.readers(step.output), self.values)
        return BackwardStep(stage, step, step.name, step.output, sources, words, tuple(lines))

    def computing(self, tensors: Sequence[Tensor]) -> list[BackwardStep]:
        """Return the steps whose outputs are among `tensors`."""
        return [self._by_output[t] for t in tensors if t in self._by_output]

    @lazy
    def _by_output(self) -> dict[Tensor, BackwardStep]:
        return {step.output: step for step in self.steps}

    def readers(self, tensor: Tensor) -> int:
        """Return the number of steps that read a tensor."""
        return len({self._step_of[n] for n in self._users(tensor) if n in self._step_of} - {self._outputs.get(tensor)})

    def _users(self, tensor: Tensor) -> Sequence[Node]:
        return self.backward.network.users.get(tensor, [])
