"""scikit-learn's own checks of `ImageRegressor`, and its tools at work with this estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.apps.estimator import ImageRegressor
from tests.apps.estimator.test_regressor import NEW_X, NEW_Y, X, Y, quick

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed (make oracle)")
checks = pytest.importorskip("sklearn.utils.estimator_checks", reason="needs scikit-learn")
compose = pytest.importorskip("sklearn.compose", reason="needs scikit-learn")
metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
selection = pytest.importorskip("sklearn.model_selection", reason="needs scikit-learn")
pipeline = pytest.importorskip("sklearn.pipeline", reason="needs scikit-learn")
preprocessing = pytest.importorskip("sklearn.preprocessing", reason="needs scikit-learn")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that it does not inherit from BaseEstimator
    CHECKS = list(checks.estimator_checks_generator(ImageRegressor(epochs=40, batch=16, learning_rate=0.01, threads=1)))


def called(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=[called(check) for _, check in CHECKS])
def test_scikit_learns_checks(estimator: ImageRegressor, check: Any) -> None:
    """All of them: none is expected to fail."""
    check(estimator)


def test_scores_are_those_of_scikit_learn() -> None:
    regressor = quick(epochs=2).fit(X, np.stack([Y, Y**2], axis=1))
    truth = np.stack([NEW_Y, NEW_Y**2], axis=1)
    assert regressor.score(NEW_X, truth) == pytest.approx(metrics.r2_score(truth, regressor.predict(NEW_X)))


def test_cross_validation_pipelines_and_searches() -> None:
    flat = X.reshape(len(X), -1).astype(np.float64)
    assert (selection.cross_val_score(quick(), flat, Y, cv=2) > 0.6).all()
    scaled = pipeline.make_pipeline(preprocessing.MinMaxScaler(), quick())
    search = selection.GridSearchCV(scaled, {"imageregressor__learning_rate": [1e-9, 0.01]}, cv=2)
    with pytest.warns(UserWarning, match="no better than"):
        search.fit(flat, Y)
    assert search.best_params_ == {"imageregressor__learning_rate": 0.01}
    assert search.score(flat, Y) > 0.8
    logarithm = compose.TransformedTargetRegressor(quick(), func=np.log1p, inverse_func=np.expm1).fit(flat, Y)
    assert logarithm.score(flat, Y) > 0.5


def test_clone_copies_the_parameters() -> None:
    copy = sklearn.base.clone(quick(network=nn.Linear(1), target=["a", "b"]))
    assert isinstance(copy.network, nn.Linear) and copy.get_params()["epochs"] == 20 and copy.target == ["a", "b"]
    assert sklearn.base.is_regressor(copy) and not sklearn.base.is_classifier(copy)
