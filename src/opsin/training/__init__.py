"""Training: from a network and labelled pictures to a model, as a stream of events."""

from opsin.training.events import Epoch, Event, Finished, Interrupted, Started, Step, Warning
from opsin.training.fault import Diverged
from opsin.training.loop import Training, train
from opsin.training.plan import Plan, Stage
from opsin.training.recipe import Recipe

__all__ = [
    "Diverged", "Epoch", "Event", "Finished", "Interrupted", "Plan", "Recipe", "Stage", "Started", "Step", "Training",
    "Warning", "train",
]  # fmt: skip
