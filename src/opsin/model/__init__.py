"""A trained network: asked what it sees, measured, and kept in one safe file."""

from opsin.model.calibration import Calibration
from opsin.model.model import Engine, Model, load
from opsin.model.results import Evaluation, Prediction
from opsin.model.states import read_state

__all__ = ["Calibration", "Engine", "Evaluation", "Model", "Prediction", "load", "read_state"]
