"""Training: from a network and labelled images to a model, as a stream of events."""

from opsin.runs.api import resume, train
from opsin.runs.run import Run
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
from opsin.training.non_finite import Diverged
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.recipe import Recipe
from opsin.training.trainer import Trainer

__all__ = [
    "Diverged",
    "Epoch",
    "Event",
    "Finished",
    "Interrupted",
    "Recipe",
    "Rewound",
    "Run",
    "Score",
    "Shortened",
    "Stage",
    "StageStarted",
    "Started",
    "Step",
    "StoppedEarly",
    "Trainer",
    "TrainingPlan",
    "Warning",
    "resume",
    "train",
]  # fmt: skip
