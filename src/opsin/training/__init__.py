"""Training: from a network and labelled pictures to a model, as a stream of events."""

from opsin.training.events import (
    Epoch,
    Event,
    Finished,
    Interrupted,
    Rewound,
    Score,
    Shortened,
    StageStarted,
    Started,
    Step,
    StoppedEarly,
    Warning,
)
from opsin.training.fault import Diverged
from opsin.training.functions import resume, train
from opsin.training.loop import Training
from opsin.training.plan import Plan, Stage
from opsin.training.recipe import Recipe
from opsin.training.run import Run

__all__ = [
    "Diverged", "Epoch", "Event", "Finished", "Interrupted", "Plan", "Recipe", "Rewound", "Run", "Score", "Shortened",
    "Stage", "StageStarted", "Started", "Step", "StoppedEarly", "Training", "Warning", "resume", "train",
]  # fmt: skip
