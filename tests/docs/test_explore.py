"""docs/explore.md: its commands and its example, one after the other as a reader runs them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from opsin.explain.features import PenultimateFeatures, features_of
from opsin.exploration import extractor
from tests.docs.markdown import ROOT, code_blocks
from tests.docs.test_tasks import commands
from tests.exploration.folders import untrained_model, write_copies, write_kinds

PAGE = ROOT / "docs" / "explore.md"


def test_commands_and_examples_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Features of the published network would take most of the time; those of a small one stand for them."""
    write_copies(write_kinds(tmp_path / "photos", 4))
    model = untrained_model()
    model.save(tmp_path / "model.opsin")

    def published(network: str) -> PenultimateFeatures:
        return features_of(model)

    monkeypatch.setattr(extractor, "published_features", published)
    monkeypatch.setattr(extractor, "is_available_offline", lambda name: True)
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for command in commands(PAGE):
        if command != "train labelled":
            assert run(shlex.split(command)) == 0, f"{command}\n{''.join(capfd.readouterr())}"
    assert sorted(path.name for path in Path("labelled").iterdir()) == ["group-01", "group-02", "group-03"]
    capfd.readouterr()
    for example in code_blocks(PAGE):
        example.run()
    assert "photos: 17 images in 3 groups, 5 near-duplicates" in capfd.readouterr().out
