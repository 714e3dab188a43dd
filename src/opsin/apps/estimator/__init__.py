"""An estimator with the interface of scikit-learn, which it does not need."""

from opsin.apps.estimator.classifier import ImageClassifier
from opsin.apps.estimator.errors import InputError, NotFitted, ParameterError

__all__ = ["ImageClassifier", "InputError", "NotFitted", "ParameterError"]
