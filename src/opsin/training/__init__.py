"""Training: from a network and labelled images to a model, as a stream of events."""

from opsin._aliases import renamed_names
from opsin.tasks.score import Score
from opsin.training.events import (
    Epoch,
    Event,
    Finished,
    Interrupted,
    Rewound,
    Shortened,
    StageStarted,
    Started,
    Step,
    StoppedEarly,
    SubsetStarted,
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
    "Score",
    "Shortened",
    "Stage",
    "StageStarted",
    "Started",
    "Step",
    "StoppedEarly",
    "SubsetStarted",
    "Trainer",
    "TrainingPlan",
    "Warning",
]  # fmt: skip

__getattr__ = renamed_names(__name__)
