"""Plans that begin from nothing: how many epochs the time allows."""

from __future__ import annotations

from dataclasses import replace
from math import floor

from opsin import nn, zoo
from opsin.data import Dataset
from opsin.training.amounts import duration
from opsin.training.budget import Budget, batch_that_fits, evaluating
from opsin.training.machine import Cost, measure
from opsin.training.plan import Plan
from opsin.training.recipe import Recipe
from opsin.training.stages import optimizer_of
from opsin.training.wishes import Outline, Wishes

SMALLEST_BATCH = 4


def fit(outline: Outline, data: Dataset, wishes: Wishes, budget: Budget) -> tuple[Plan, list[str], float, float]:
    """The plan, reasons, seconds and bytes: Opsin's recipe, with fewer epochs where time is short.

    Raises `UsageError` where not even one epoch fits, or not those that were asked for.
    """
    layer = zoo.find(outline.network)(len(data.classes))
    recipe = Recipe(wishes.epochs, wishes.batch, wishes.learning_rate, wishes.seed)
    plan = recipe.plan(outline.network, len(data.train))
    ema = plan.ema if wishes.ema is None else wishes.ema
    graph = nn.training_graph(layer, data.shape, optimizer_of(plan, layer), ema=ema)

    def cost(batch: int) -> Cost:
        return measure(graph, batch, wishes.threads, budget.ways)

    batches, batch = [plan.stages[0].batch], plan.stages[0].batch
    while wishes.batch is None and batch // 2 >= SMALLEST_BATCH:
        batches.append(batch := batch // 2)
    batch, step, memory = batch_that_fits(batches, cost, wishes, data)
    epoch = len(data.train) * step.seconds + evaluating(data, wishes.looks * step.seconds / 3)
    affordable, epochs = floor(budget.left / epoch), plan.stages[0].epochs
    if wishes.epochs is not None and not budget.asked:
        affordable = epochs
    if affordable < (wishes.epochs or 1):
        what = f"{wishes.epochs} epochs" if wishes.epochs else "one epoch"
        raise budget.refuse((wishes.epochs or 1) * epoch, f"{what} of {outline.network}")
    reasons = []
    if affordable < epochs:
        reasons.append(f"{affordable} epochs, where {epochs} would be usual: one takes {duration(epoch)}")
    if batch < batches[0]:
        plan = replace(recipe, batch=batch).plan(outline.network, len(data.train))  # with the rate that goes with it
        reasons.append(f"{batch} pictures a step, so that the memory suffices")
    stage = replace(plan.stages[0], epochs=min(epochs, affordable))
    return replace(plan, stages=(stage,), size=outline.size), reasons, stage.epochs * epoch + step.compiling, memory
