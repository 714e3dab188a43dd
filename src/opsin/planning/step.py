"""The training step that `opsin train` takes for a network, for commands that profile, tune or describe it."""

from __future__ import annotations

from dataclasses import dataclass

from opsin import nn, zoo
from opsin.ir import Graph
from opsin.nn.optimizers import Optimizer
from opsin.planning.measurement import LOCAL_MACHINE, Machine
from opsin.planning.transfer import transfer_plan
from opsin.tasks.classification import Classification
from opsin.tasks.registry import find_task
from opsin.tasks.task import Task
from opsin.training import freezing
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.recipe import Recipe
from opsin.training.stages import loss_of, optimizer_of


@dataclass(frozen=True)
class DefaultStep:
    """How a network learns if no option says otherwise.

    `ema` is the decay of the moving average of the parameters (0: none). The layers in `frozen` do not learn.
    """

    optimizer: Optimizer
    loss: nn.Objective
    ema: float
    frozen: tuple[str, ...] = ()

    def of_network(self, network: nn.Layer, input_shape: nn.ImageShape) -> Graph:
        """Return the step's graph for a network of layers."""
        return nn.training_graph(network, input_shape, self.optimizer, self.loss, ema=self.ema, frozen=self.frozen)

    def of_graph(self, graph: Graph) -> Graph:
        """Return the step's graph for a model's inference graph, in which normalization statistics are fixed."""
        return nn.training_step(graph, self.optimizer, self.loss, ema=self.ema)


def default_step(name: str, network: nn.Layer, task: Task, machine: Machine = LOCAL_MACHINE) -> DefaultStep:
    """Return the step in which all layers of the network called `name` learn for a `task`.

    With published weights that is fine-tuning, with frozen batch normalization, as for fewer than
    `transfer.MIN_IMAGES_TO_TRAIN_NORMS` images; otherwise it is the recipe for training from scratch.
    """
    if isinstance(task, Classification) and machine.has_weights(name):
        return _step(transfer_plan(name, (Stage(epochs=1),)), network, task, freezing.batch_norms(network))
    return _step(Recipe().plan(name, images=1), network, task, ())  # The number of images does not change the step.


def task_of(name: str, outputs: int, input_shape: nn.ImageShape) -> Task:
    """Return the task of the network called `name`, with so many outputs; classification if it is not of the zoo."""
    kind = find_task(zoo.find(name).task) if name in zoo.names() else Classification
    task: Task = kind.with_outputs(outputs).for_network(name, input_shape[1:])
    return task


def _step(plan: TrainingPlan, network: nn.Layer, task: Task, frozen: tuple[str, ...]) -> DefaultStep:
    return DefaultStep(optimizer_of(plan, network), loss_of(plan, task, mixed=False), plan.ema, frozen)
