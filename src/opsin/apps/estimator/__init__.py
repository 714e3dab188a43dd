"""Estimators with the interface of scikit-learn, which they do not need."""

from opsin.apps.estimator.classifier import ImageClassifier
from opsin.apps.estimator.errors import InputError, NotFitted, ParameterError
from opsin.apps.estimator.regressor import ImageRegressor

__all__ = ["ImageClassifier", "ImageRegressor", "InputError", "NotFitted", "ParameterError"]
