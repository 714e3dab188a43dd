"""`ImageClassifier` on files: lists of paths, and a folder alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin.apps.estimator import ImageClassifier, InputError
from opsin.apps.estimator.files import is_paths, paths_of, source_of
from opsin.base.errors import DataError, UsageError
from opsin.model import Model
from tests.apps.estimator.support import quick
from tests.data.files import write_stripes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stripes(tmp_path_factory.mktemp("stripes"))


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


@pytest.fixture(scope="module")
def fitted(paths: list[Path]) -> ImageClassifier:
    return quick().fit(paths, [path.parent.name for path in paths])


def test_fitting_a_list_of_paths(fitted: ImageClassifier, paths: list[Path]) -> None:
    labels = [path.parent.name for path in paths]
    assert fitted.score(paths, labels) == 1
    assert fitted.predict([str(paths[0])]).tolist() == ["lying"]
    assert fitted.predict_proba(np.array([[str(path)] for path in paths])).shape == (40, 2)
    # A tenth of what intake would train on is kept apart, and no part to test with.
    assert fitted.model_.record["images"] == 36 and fitted.model_.record["held_out"] == 4
    assert fitted.receipt_ is not None and not hasattr(fitted, "n_features_in_")


def test_a_model_fitted_on_paths_is_not_measured_on_the_same_folder(
    fitted: ImageClassifier, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    evaluate = Model.evaluate
    monkeypatch.setattr(Model, "evaluate", lambda self, part: measured.append(len(part)) or evaluate(self, part))
    fitted.score(folder)
    assert measured == [40]


def test_labels_keep_their_order(paths: list[Path]) -> None:
    numbers = [10 if path.parent.name == "lying" else 2 for path in paths]
    model = quick().fit(paths, numbers)
    assert model.classes_.tolist() == [2, 10]
    assert model.model_.labels == ("10", "2")
    assert model.predict(paths).tolist() == numbers
    assert ((model.predict_proba(paths)[:, 1] > 0.5) == (np.array(numbers) == 10)).all()


@pytest.mark.filterwarnings("ignore:the model is no better than one that always gives")
def test_repeated_paths(paths: list[Path]) -> None:
    twice = [*paths, *paths[:10]]
    model = quick(epochs=1).fit(twice, [path.parent.name for path in twice])
    assert model.model_.record["images"] + model.model_.record["held_out"] == 50


def test_unusable_files_cause_a_warning(folder: Path, paths: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:50])
    some = [*paths, broken]
    with pytest.warns(
        UserWarning, match=r"1 of the files cannot be used, such as .*broken.png: .*; see receipt_ for all"
    ):
        model = quick(epochs=2).fit(some, [*(path.parent.name for path in paths), "broken"])
    assert model.classes_.tolist() == ["lying", "standing"]
    with pytest.raises(DataError, match=r"broken\.png"):
        model.predict(some)
    with pytest.raises(DataError, match=r"nowhere\.png"):
        model.predict(["nowhere.png"])


def test_a_folder_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = quick().fit(folder)
    measured = []
    evaluate = Model.evaluate
    monkeypatch.setattr(Model, "evaluate", lambda self, part: measured.append(len(part)) or evaluate(self, part))
    assert model.classes_.tolist() == ["lying", "standing"]
    assert model.model_.record["images"] == 28  # the rest is for validation and test
    assert model.score(folder) == 1 and measured == [8]
    assert model.predict([folder / "lying" / "3.png"]).tolist() == ["lying"]


def test_all_images_of_another_folder_are_measured(folder: Path, tmp_path: Path) -> None:
    model = quick().fit(folder)
    small = write_stripes(tmp_path, 3)
    (small / "lying" / "0.png").rename(small / "standing" / "9.png")
    assert model.score(small) == pytest.approx(5 / 6)


def test_built_in_digits() -> None:
    model = quick(epochs=1, batch=64, learning_rate=0.004).fit("digits")
    assert model.score("digits") > 0.8
    assert model.classes_.tolist() == [str(digit) for digit in range(10)]


def test_size_is_for_files(paths: list[Path]) -> None:
    model = quick(epochs=1, size=20).fit(paths, [path.parent.name for path in paths])
    assert model.model_.preprocessing.shape[1:] == (20, 20)


def test_arrays_for_a_model_of_files_are_refused(fitted: ImageClassifier, folder: Path) -> None:
    with pytest.raises(InputError, match="this ImageClassifier was trained on files; give a list of paths"):
        fitted.predict(np.zeros((2, 12, 12), np.uint8))
    with pytest.raises(UsageError, match="has its own labels; leave y out"):
        quick().fit(folder, ["a"])
    with pytest.raises(UsageError, match="has its own labels; leave y out"):
        fitted.score(folder, ["a"])


def test_detecting_paths() -> None:
    assert is_paths(["a", "b"]) and is_paths([Path("a")]) and is_paths(np.array(["a"])) and is_paths([["a"], ["b"]])
    assert not is_paths([]) and not is_paths([[1.0]]) and not is_paths(np.zeros((2, 2))) and not is_paths([b"a"])
    assert paths_of(np.array([["a"], ["b"]], object)) == ["a", "b"]
    with pytest.raises(InputError, match=r"X\[1\] is 3, not a path as the others are"):
        paths_of(["a", 3])
    with pytest.raises(InputError, match="X holds 2 columns of text; give one path for each image"):
        paths_of([["a", "b"], ["c", "d"]])


def test_subsets_of_the_same_files_share_a_cache(paths: list[Path]) -> None:
    names = [str(path) for path in paths]
    first, second = source_of(names, ["x"] * 40), source_of(names[::2], ["x"] * 20)
    assert first[1] == second[1]
    twice = source_of([names[0], names[0]], ["x", "y"])[0]
    assert [item.name for item in twice.items] == [names[0], f"{names[0]} (2)"]
