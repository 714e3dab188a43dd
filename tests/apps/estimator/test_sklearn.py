"""scikit-learn's own checks of an estimator, and its tools at work with this one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.apps.estimator import ImageClassifier
from tests.apps.estimator.support import quick, striped

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed (make oracle)")
checks = pytest.importorskip("sklearn.utils.estimator_checks", reason="needs scikit-learn")
selection = pytest.importorskip("sklearn.model_selection", reason="needs scikit-learn")
pipeline = pytest.importorskip("sklearn.pipeline", reason="needs scikit-learn")
preprocessing = pytest.importorskip("sklearn.preprocessing", reason="needs scikit-learn")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that it does not inherit from BaseEstimator
    CHECKS = list(checks.estimator_checks_generator(ImageClassifier(epochs=15, threads=1)))


def called(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=[called(check) for _, check in CHECKS])
def test_scikit_learns_checks(estimator: ImageClassifier, check: Any) -> None:
    """All of them: none is expected to fail."""
    check(estimator)


def test_cross_validation_a_pipeline_and_a_search() -> None:
    x, y = striped(36)
    flat = x.reshape(36, -1).astype(np.float64)
    scores = selection.cross_val_score(quick(), flat, y, cv=2)
    assert (scores == 1).all()
    scaled = pipeline.make_pipeline(preprocessing.MinMaxScaler(), quick())
    search = selection.GridSearchCV(scaled, {"imageclassifier__learning_rate": [1e-9, 0.01]}, cv=2)
    with pytest.warns(UserWarning, match="no better than"):
        search.fit(flat, y)
    assert search.best_params_ == {"imageclassifier__learning_rate": 0.01}
    assert search.score(flat, y) == 1


def test_clone_copies_a_layer() -> None:
    network = nn.Linear(2)
    copy = sklearn.base.clone(quick(network=network))
    assert type(copy.network) is type(network) and copy.epochs == quick().epochs
    assert sklearn.base.is_classifier(copy)
