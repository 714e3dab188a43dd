"""An estimator in the manner of scikit-learn, which it does not need."""

from opsin.apps.estimator.classifier import ImageClassifier
from opsin.apps.estimator.problems import InputError, NotFitted, ParameterError

__all__ = ["ImageClassifier", "InputError", "NotFitted", "ParameterError"]
