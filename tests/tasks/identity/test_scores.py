"""Verification, identification and the threshold: against scikit-learn, and on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.errors import ModelError
from opsin.tasks.identity.calibration import SameThreshold, fit_threshold
from opsin.tasks.identity.evaluation import all_pairs
from opsin.tasks.identity.identification import Rate, identify
from opsin.tasks.identity.verification import Roc, best_threshold, fold_accuracies
from tests.support import Array, generator

SIMILAR = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.3])
SAME = np.array([True, True, False, True, False, False])


def noisy(count: int, seed: str) -> tuple[Array, Array]:
    rng = generator(seed)
    same = rng.random(count) < 0.3
    return np.round(rng.standard_normal(count) + 1.5 * same, 2), same


def test_roc_by_hand() -> None:
    roc = Roc.of(SIMILAR, SAME)
    np.testing.assert_allclose(roc.true, [0, 1 / 3, 2 / 3, 2 / 3, 1, 1])
    np.testing.assert_allclose(roc.false, [0, 0, 0, 1 / 3, 2 / 3, 1])
    assert roc.area == pytest.approx(1 - (1 + 0.5) / 9)  # a pair that is out of order, and half of one that is equal
    assert roc.equal_error_rate == pytest.approx(1 / 3)
    assert (roc.true_accepts(0.0), roc.true_accepts(0.34), roc.true_accepts(0.7)) == pytest.approx((2 / 3, 2 / 3, 1))
    assert roc.stated_rates() == []
    assert best_threshold(SIMILAR, SAME) == pytest.approx(0.75)


def test_roc_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed; it is an optional extra")
    similarities, same = noisy(3000, "roc")
    roc = Roc.of(similarities, same)
    false, true, _ = metrics.roc_curve(same, similarities, drop_intermediate=False)
    np.testing.assert_allclose(roc.true, true)
    np.testing.assert_allclose(roc.false, false)
    assert roc.area == pytest.approx(metrics.roc_auc_score(same, similarities))
    assert [rate for rate, _ in roc.stated_rates()] == [0.1, 0.01]


def test_the_threshold_of_a_fold_comes_from_the_others() -> None:
    similarities = np.array([0.9, 0.1, 0.5, 0.4])
    same, fold = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    # The other fold's thresholds are 0.45 and 0.5: right for both.
    assert fold_accuracies(similarities, same, fold).tolist() == [1, 1]
    assert fold_accuracies(similarities - 0.45 * fold, same, fold).tolist() == [0.5, 0.5]
    assert fold_accuracies(similarities, same, np.zeros(4, np.intp)).tolist() == [1]


def test_all_pairs_of_a_fold_are_of_its_identities() -> None:
    identities = np.array([5, 5, 7, 7, 7, 9, 4, 4, 2, 2], np.int32)
    pairs = all_pairs(identities)
    assert len(pairs) == 45
    assert pairs.same.sum() == 1 + 3 + 1 + 1
    assert set(pairs.fold.tolist()) == {-1, 0, 1}  # four identities with several images make two folds
    for fold in (0, 1):
        assert 0 < pairs.same[pairs.fold == fold].sum() < (pairs.fold == fold).sum()
    assert (pairs.fold[pairs.same] >= 0).all()


def test_identification_by_hand() -> None:
    embeddings = np.array([[1, 0], [0.9, 0.1], [0.1, 0.9], [0, 1], [0.2, 0.9], [0.7, 0.7]], np.float32)
    found = identify(embeddings, np.array([0, 0, 0, 1, 1, 2], np.int32))
    assert found is not None and found.enrolled == 2
    assert found.rank1.share == pytest.approx(2 / 3)  # the third image is nearer to the other identity
    assert found.rank1.count == 3
    assert found.open_set == ()
    assert identify(embeddings, np.arange(6, dtype=np.int32)) is None


def test_strangers_set_the_threshold_of_the_open_set() -> None:
    rng = generator("strangers")
    identities = np.repeat(np.arange(60, dtype=np.int32), 4)
    centres = rng.standard_normal((60, 16))
    vectors = centres[identities] + 0.05 * rng.standard_normal((240, 16))
    found = identify((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), identities)
    assert found is not None
    assert found.rank1.share == 1
    assert [share for share, _ in found.open_set] == [0.1]  # 120 images of strangers are too few for 1 %
    assert found.open_set[0][1].share > 0.95


def test_the_bootstrap_resamples_identities() -> None:
    hits = np.repeat([True, False], 50)
    few, many = (Rate.of(hits, identities) for identities in (np.repeat([0, 1], 50), np.arange(100)))
    assert few.share == many.share == 0.5
    assert (few.low, few.high) == (0, 1)
    assert 0.35 < many.low < 0.45 < 0.55 < many.high < 0.65


def test_the_threshold_is_a_logistic_regression() -> None:
    linear = pytest.importorskip(
        "sklearn.linear_model", reason="scikit-learn is not installed; it is an optional extra"
    )
    similarities, same = noisy(2000, "threshold")
    fitted = fit_threshold(similarities, same)
    theirs = linear.LogisticRegression(C=1e9, class_weight="balanced").fit(similarities[:, None], same)
    assert fitted is not None
    assert fitted.threshold == pytest.approx(-theirs.intercept_[0] / theirs.coef_[0, 0], abs=0.01)
    assert fitted.probability(2.0) == pytest.approx(theirs.predict_proba([[2.0]])[0, 1], abs=0.02)
    assert SameThreshold.from_data(fitted.to_data()) == fitted


def test_pairs_that_are_told_apart_perfectly_have_a_threshold() -> None:
    fitted = fit_threshold(np.array([0.9, 0.8, 0.1, 0.2]), np.array([True, True, False, False]))
    assert fitted is not None and 0.3 < fitted.threshold < 0.7
    assert (fitted.false_accepts, fitted.false_rejects) == (0, 0)


@pytest.mark.parametrize(
    ("similarities", "same"),
    [([1.0, 1.0], [True, False]), ([0.1, 0.9], [True, False]), ([0.1, 0.9], [True, True])],
    ids=["copies", "reversed", "no different ones"],
)
def test_without_a_threshold(similarities: list[float], same: list[bool]) -> None:
    assert fit_threshold(np.array(similarities), np.array(same)) is None


@pytest.mark.parametrize("change", [{"slope": -1.0}, {"threshold": "x"}, {"false_accepts": 2.0}])
def test_damaged_calibration(change: dict[str, object]) -> None:
    good = SameThreshold(0.5, 10.0, -5.0, 9, 9, 0.1, 0.1).to_data()
    with pytest.raises(ModelError, match="its calibration"):
        SameThreshold.from_data(good | change)
