"""`ImageRegressor` on arrays and files: it learns, repeats itself, keeps its parameters, and survives pickling."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import opsin
from opsin import nn
from opsin.apps.estimator import ImageRegressor, InputError, NotFitted, ParameterError
from opsin.base.errors import DataError, UsageError
from tests.apps.estimator.support import QUICK
from tests.data.annotated_folders import write_numbers
from tests.data.files import write_image
from tests.tasks.regression import bars

SIDE = 12


def quick(**options: Any) -> ImageRegressor:
    """Return an estimator for small data."""
    return ImageRegressor(**{**QUICK, "epochs": 20, **options})


def barred(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return grey images with a bar, and its place."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, SIDE - 3, count)
    images = rng.integers(0, 40, (count, SIDE, SIDE)).astype(np.uint8)
    for image, place in zip(images, places, strict=True):
        image[:, round(place) : round(place) + 3] = 230
    return images, places


X, Y = barred(120)
NEW_X, NEW_Y = barred(200, 1)


@pytest.fixture(scope="module")
def fitted() -> ImageRegressor:
    return quick().fit(X, Y)


def test_it_learns(fitted: ImageRegressor) -> None:
    predictions = fitted.predict(NEW_X)
    assert predictions.shape == (200,) and predictions.dtype == np.float64
    residual = ((predictions - NEW_Y) ** 2).sum() / ((NEW_Y - NEW_Y.mean()) ** 2).sum()
    assert fitted.score(NEW_X, NEW_Y) == pytest.approx(1 - residual) and residual < 0.1
    assert fitted.plan_.network == "lenet5" and len(fitted.history_) == 20 and fitted.receipt_ is None
    assert (fitted.n_features_in_, fitted.n_outputs_) == (144, 1)
    assert fitted.model_.labels == ("y",) and str(fitted.model_.predict(NEW_X[:1, None])[0]).startswith("y ")


def test_intervals_hold_nine_tenths() -> None:
    x, y = barred(2000)
    regressor = quick(epochs=4).fit(x, y)
    new_x, new_y = barred(2000, 1)
    intervals = regressor.predict_interval(new_x)
    assert intervals.shape == (2000, 2)
    inside = (intervals[:, 0] <= new_y) & (new_y <= intervals[:, 1])
    assert 0.87 <= inside.mean() <= 0.93
    np.testing.assert_allclose(intervals.mean(axis=1), regressor.predict(new_x))
    assert regressor.model_.calibration.images == 200


def test_too_few_images_have_no_intervals() -> None:
    regressor = quick(epochs=1).fit(X[:60], Y[:60])
    with pytest.raises(UsageError, match="there are no intervals: too few images were held out to fit them to"):
        regressor.predict_interval(NEW_X)


def test_several_numbers_for_each_image() -> None:
    images = bars.images(200)
    pixels, truth = np.asarray(images.pixels), images.targets.values
    regressor = quick().fit(pixels, truth)
    assert regressor.n_outputs_ == 2 and regressor.model_.labels == ("y1", "y2")
    new = bars.images(50, 1)
    predictions = regressor.predict(np.asarray(new.pixels))
    assert predictions.shape == (50, 2) and regressor.predict_interval(np.asarray(new.pixels)).shape == (50, 2, 2)
    scores = 1 - ((predictions - new.targets.values) ** 2).mean(axis=0) / new.targets.values.var(axis=0)
    assert (
        regressor.score(np.asarray(new.pixels), new.targets.values) == pytest.approx(scores.mean())
        and min(scores) > 0.5
    )
    with pytest.raises(UsageError, match="y holds 1 numbers for each image, but 2 are predicted"):
        regressor.score(np.asarray(new.pixels), new.targets.values[:, 0])


def test_columns_keep_their_form_and_their_names() -> None:
    class Column(np.ndarray):  # as pandas' series and tables, which have names
        name = "price"

    class Table(np.ndarray):
        columns = ("price", "weight")

    column = quick(epochs=1).fit(X, Y.view(Column))
    assert column.model_.labels == ("price",) and column.predict(X[:3]).shape == (3,)
    table = quick(epochs=1).fit(X, np.stack([Y, -Y], axis=1).view(Table))
    assert table.model_.labels == ("price", "weight")
    assert quick(epochs=1).fit(X, Y[:, None]).predict(X[:3]).shape == (3, 1)


def test_the_same_seed_gives_the_same_bits(fitted: ImageRegressor) -> None:
    second, other = quick(threads=2).fit(X, Y), quick(random_state=1).fit(X, Y)
    assert np.array_equal(second.predict(NEW_X), fitted.predict(NEW_X))
    assert not np.array_equal(other.predict(NEW_X), fitted.predict(NEW_X))


def test_pickles_give_the_same_predictions(fitted: ImageRegressor, tmp_path: Path) -> None:
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict(NEW_X), fitted.predict(NEW_X))
    assert np.array_equal(copy.predict_interval(NEW_X), fitted.predict_interval(NEW_X))
    fitted.model_.save(tmp_path / "bars.opsin")
    measurements = opsin.load(tmp_path / "bars.opsin").predict(NEW_X[:5, None])
    np.testing.assert_array_equal([each.value for each in measurements], fitted.predict(NEW_X[:5]))
    assert pickle.loads(pickle.dumps(quick())).epochs == 20


def test_a_network_of_your_own() -> None:
    layer = nn.Sequential(nn.Conv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1))
    regressor = quick(network=layer).fit(X, Y)
    assert regressor.score(NEW_X, NEW_Y) > 0.8 and regressor.plan_.network == "Sequential"


def test_parameters() -> None:
    assert repr(ImageRegressor(epochs=3, target="price")) == "ImageRegressor(epochs=3, target='price')"
    assert (
        "label_smoothing" not in ImageRegressor().get_params() and "class_weights" not in ImageRegressor().get_params()
    )
    with pytest.raises(TypeError, match=r"ImageRegressor.__init__\(\) got an unexpected keyword argument 'tta'"):
        ImageRegressor(tta=True)
    with pytest.raises(ParameterError, match="Invalid parameter 'tta' for ImageRegressor"):
        ImageRegressor().set_params(tta=True)
    with pytest.raises(NotFitted, match="this ImageRegressor is not fitted yet"):
        ImageRegressor().predict(X)
    with pytest.raises(NotFitted):
        ImageRegressor().predict_interval(X)
    assert ImageRegressor.__doc__ and "`epochs`: Number of passes" in ImageRegressor.__doc__
    assert "`class_weights`" not in ImageRegressor.__doc__


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "ImageRegressor requires y to be passed, but the target y is None"),
        (Y[:5], r"X holds 120 images, and y is \(5,\); give a number, or several, for each image"),
        (np.zeros((120, 1, 1)), r"y is \(120, 1, 1\)"), (["cat"] * 120, "y is not a number for each image"),
        (np.full(120, np.nan), "y contains NaN"), (np.full(120, np.inf), "y contains infinity"),
        (Y + 1j, "Complex data not supported"), (np.zeros((120, 0)), r"y is \(120, 0\)"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_used(y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quick().fit(X, y)


def test_verbose_prints_r2(capsys: pytest.CaptureFixture[str]) -> None:
    quick(epochs=1, verbose=True).fit(X, Y)
    line = capsys.readouterr().out
    assert line.startswith("training, epoch 1: loss ") and " on 10 validation images" in line and "R² " in line


@pytest.mark.filterwarnings("ignore:the model is no better than one that always gives")
def test_scores_of_numbers_that_do_not_vary() -> None:
    regressor = quick(epochs=1).fit(X, Y)
    assert regressor.score(X[:2], np.full(2, 3.0)) == 0
    constant = quick(epochs=1, learning_rate=1e-9).fit(X, np.full(120, 3.0))
    assert constant.score(X, np.full(120, 3.0)) in (0, 1)


def test_a_list_of_files(tmp_path: Path) -> None:
    paths = [str(write_image(tmp_path / f"{number}.png", image)) for number, image in enumerate(X)]
    regressor = quick().fit([*paths, paths[0]], [*Y.tolist(), float(Y[0])])
    assert regressor.receipt_ is not None and regressor.receipt_.images == 121
    new = [str(write_image(tmp_path / "new" / f"{number}.png", image)) for number, image in enumerate(NEW_X[:40])]
    assert regressor.score(new, NEW_Y[:40]) > 0.7
    with pytest.raises(InputError, match="was trained on files"):
        regressor.predict(X)
    (tmp_path / "text.png").write_text("no image")
    with pytest.warns(UserWarning, match="1 of the files cannot be used"):
        quick(epochs=1).fit([*paths, str(tmp_path / "text.png")], [*Y.tolist(), 1.0])


@pytest.mark.filterwarnings("ignore:the model is no better than one that always gives")
def test_a_folder_with_its_own_numbers(tmp_path: Path) -> None:
    folder = str(write_numbers(tmp_path, 80))
    regressor = quick(epochs=3).fit(folder)
    assert regressor.model_.labels == ("price",) and regressor.predict([f"{folder}/images/00.png"]).shape == (1,)
    assert regressor.score(folder) == pytest.approx(regressor.model_.record["test"]["r2"])
    with pytest.raises(UsageError, match="has its own labels; leave y out"):
        quick().fit(folder, Y)
    with pytest.raises(DataError, match="no column 'weight'"):
        quick(target="weight").fit(folder)
