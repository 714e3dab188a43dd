"""Trained models: prediction, evaluation, calibration, and a safe file format."""

from opsin.backends.options import Engine
from opsin.interop.weights import read_state
from opsin.model.loading import load
from opsin.model.model import Model
from opsin.tasks.classification.calibration import Calibration
from opsin.tasks.classification.predictions import Evaluation, Prediction

__all__ = ["Calibration", "Engine", "Evaluation", "Model", "Prediction", "load", "read_state"]
