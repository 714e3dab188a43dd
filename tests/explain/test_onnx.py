"""Networks from ONNX files are explained like any other: HiResCAM adds up to the logit that is computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.explain import METHODS, attribute
from tests.model.test_onnx_import import by_hand, classifier


def test_an_imported_network_is_explained(tmp_path: Path) -> None:
    file = classifier(4)
    model = opsin.import_onnx(file.write(tmp_path / "small.onnx"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)
    logits = by_hand(file, model.preprocessing.apply(pixels))
    for number, result in enumerate(attribute(model, pixels, method="hires-cam", label="2")):
        assert result.layer is not None and "r" in result.layer
        assert result.score == pytest.approx(logits[number, 2], rel=1e-4)
        assert result.raw.shape == (8, 8)
        assert result.raw.sum() == pytest.approx(logits[number, 2] - file.weights["fc.bias"][2], rel=1e-4, abs=1e-5)
    for method in METHODS:
        assert np.isfinite(attribute(model, pixels, method=method)[0].display).all()
