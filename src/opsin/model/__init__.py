"""A trained network: asked what it sees, measured, and kept in one safe file."""

from opsin.model.model import Engine, Model, load
from opsin.model.published import imagenet_labels, initial_state, pretrained
from opsin.model.results import Evaluation, Prediction
from opsin.model.states import read_state

__all__ = [
    "Engine", "Evaluation", "Model", "Prediction", "imagenet_labels", "initial_state", "load", "pretrained",
    "read_state",
]  # fmt: skip
