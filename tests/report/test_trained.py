"""Training leaves what a report needs: a calibrated model, its history, and the fingerprint of its data."""

from __future__ import annotations

from pathlib import Path

import opsin
from opsin.data import Dataset
from opsin.model import load
from opsin.report.model_report import measure_classifier
from tests.model.networks import small_network
from tests.report.support import scenes


def test_a_trained_model_can_be_reported_on(tmp_path: Path) -> None:
    data = Dataset("scenes", scenes(120, 0), scenes(60, 1), predefined_split=True, validation=scenes(90, 2))
    opsin.train(small_network(), data, epochs=3, batch=16, out=tmp_path / "m.opsin")
    model = load(tmp_path / "m.opsin")
    assert model.calibration is not None
    assert model.calibration.images == 90
    report = measure_classifier(model, data, seconds=4)
    assert report.trained_here
    assert [epoch.stage for epoch in report.history] == ["training"] * 3
    assert report.accuracy.total == 60
    assert report.label_issues is not None and report.label_issues.checked == 120
    assert report.learning_curve is not None and report.learning_curve.counts == (40, 40, 40)
