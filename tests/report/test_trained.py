"""What training leaves behind is what a report needs: a calibrated model, its history, its data's fingerprint."""

from __future__ import annotations

from pathlib import Path

import opsin
from opsin.data import Dataset
from opsin.model import load
from opsin.report.model_report import measure_model
from tests.model.networks import small_network
from tests.report.support import scenes


def test_a_trained_model_is_calibrated_and_can_be_accounted_for(tmp_path: Path) -> None:
    data = Dataset("scenes", scenes(120, 0), scenes(60, 1), predefined_split=True, validation=scenes(90, 2))
    opsin.train(small_network(), data, epochs=3, batch=16, out=tmp_path / "m.opsin")
    model = load(tmp_path / "m.opsin")
    assert model.calibration is not None
    assert model.calibration.images == 90
    made = measure_model(model, data, seconds=4)
    assert made.trained_here
    assert [moment.stage for moment in made.history] == ["training"] * 3
    assert made.accuracy.total == 60
    assert made.suspects is not None and made.suspects.looked_at == 120
    assert made.learning_curve is not None and made.learning_curve.counts == (40, 40, 40)
