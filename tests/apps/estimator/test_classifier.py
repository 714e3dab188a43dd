"""`ImageClassifier` on arrays: it learns, repeats itself, keeps its parameters, and survives pickling."""

from __future__ import annotations

import os
import pickle
import signal
from inspect import signature
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.apps.estimator import ImageClassifier, InputError, NotFitted, ParameterError
from opsin.apps.estimator.arrays import RENAMED, Form, ImageLayout
from opsin.apps.estimator.base import OLD_ATTRIBUTES
from opsin.apps.estimator.parameters import NOT_PARAMETERS, ONLY_NUMBERS
from opsin.base.errors import OpsinError, UsageError
from opsin.base.option_fields import OptionFields, declared_options
from opsin.planning.measurement import Cost
from opsin.training import Step, Trainer
from tests.apps.estimator.support import QUICK, quick, striped
from tests.model.networks import small_network

X, Y = striped()
undertrained = pytest.mark.filterwarnings("ignore:the model is no better than one that always gives")
"""Tests that train too little for anything to be learnt."""
NEW_X, NEW_Y = striped(60)


@pytest.fixture(scope="module")
def fitted() -> ImageClassifier:
    return quick().fit(X, Y)


def test_it_learns(fitted: ImageClassifier) -> None:
    assert fitted.score(NEW_X, NEW_Y) == 1
    assert fitted.predict(NEW_X[:3]).tolist() == ["lying", "standing", "lying"]
    shares = fitted.predict_proba(NEW_X)
    assert shares.shape == (60, 2) and np.allclose(shares.sum(axis=1), 1)
    assert fitted.classes_.tolist() == ["lying", "standing"]
    assert fitted.n_features_in_ == 144
    assert fitted.plan_.network == "lenet5" and len(fitted.history_) == 8
    assert fitted.receipt_ is None
    assert [prediction.label for prediction in fitted.model_.predict(NEW_X[:2, None])] == ["lying", "standing"]


def test_a_validation_split_is_held_out_for_calibration(fitted: ImageClassifier) -> None:
    assert fitted.model_.calibration is not None and fitted.model_.calibration.images == 4
    assert fitted.model_.record["images"] == 36


@undertrained
def test_equal_images_are_in_one_split() -> None:
    seen: dict[str, Any] = {}

    class Spy(Trainer):
        def __init__(self, plan: Any, data: Any, **options: Any) -> None:
            seen["data"] = data
            super().__init__(plan, data, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opsin.apps.estimator.base.Trainer", Spy)
        quick(epochs=1).fit(np.concatenate([X, X]), np.concatenate([Y, Y]))
    data = seen["data"]
    train, validation = ({image.tobytes() for image in part.pixels} for part in (data.train, data.validation))
    assert len(data.validation) == 8 and not train & validation


def test_the_same_seed_gives_the_same_bits(fitted: ImageClassifier) -> None:
    second, other = quick().fit(X, Y), quick(random_state=1).fit(X, Y)
    assert np.array_equal(second.predict_proba(NEW_X), fitted.predict_proba(NEW_X))
    assert not np.array_equal(other.predict_proba(NEW_X), fitted.predict_proba(NEW_X))
    assert np.array_equal(quick(random_state=None).fit(X, Y).predict_proba(NEW_X), fitted.predict_proba(NEW_X))


def test_layouts_and_scales_do_not_matter(fitted: ImageClassifier) -> None:
    scaled = X.astype(np.float64)
    least, most = scaled.min(), scaled.max()
    scaled = (scaled - least) / (most - least)
    flat = quick().fit(X.reshape(len(X), -1), Y)
    assert np.array_equal(flat.predict_proba(NEW_X.reshape(60, -1)), fitted.predict_proba(NEW_X))
    fractions = quick().fit(scaled[..., None], Y)
    assert fractions.score(((NEW_X - least) / (most - least))[..., None], NEW_Y) == 1


def test_labels_keep_their_type_and_order() -> None:
    numbers = np.where(Y == "lying", 10, 2)
    model = quick().fit(X, numbers)
    assert model.classes_.tolist() == [2, 10] and model.classes_.dtype == numbers.dtype
    assert model.predict(NEW_X[:2]).tolist() == [10, 2]
    assert (model.predict_proba(NEW_X)[:, 1] > 0.5).tolist() == (NEW_Y == "lying").tolist()


def test_ten_samples_with_two_features() -> None:
    x = np.array([[n % 2, n / 10] for n in range(10)])
    model = quick(epochs=30).fit(x, x[:, 0].astype(int))
    assert model.score(x, x[:, 0].astype(int)) == 1
    assert model.plan_.stages[0].augment == "none"  # features are no images to be shifted and turned
    assert model.model_.calibration is None  # there are too few to spare


@undertrained
def test_augmentation_follows_the_option() -> None:
    assert quick(epochs=1).fit(X, Y).plan_.stages[0].augment == "light"
    assert quick(epochs=1, augment="none").fit(X, Y).plan_.stages[0].augment == "none"
    features = np.random.default_rng(0).normal(size=(20, 2))
    assert quick(epochs=1, augment="light").fit(features, np.arange(20) % 2).plan_.stages[0].augment == "light"


@undertrained
def test_a_network_of_the_zoo_and_options_reach_the_plan() -> None:
    options = {"label_smoothing": 0.1, "ema": 0.5, "class_weights": True, "patience": 7, "tta": True}
    plan = quick(network="resnet20_cifar", **QUICK | {"epochs": 1}, **options).fit(X[:12], Y[:12]).plan_
    assert (plan.network, plan.label_smoothing, plan.ema, plan.patience, plan.tta) == (
        "resnet20_cifar", 0.1, 0.5, 7, "hflip",
    )  # fmt: skip
    assert plan.class_weights == (1, 1)
    assert (plan.stages[0].batch, plan.stages[0].learning_rate) == (8, 0.01)


def test_a_layer_of_the_user() -> None:
    model = quick(network=small_network(2), augment="none").fit(X, Y)
    assert model.score(NEW_X, NEW_Y) == 1
    assert model.plan_.network == "Sequential" and model.plan_.stages[0].augment == "none"
    assert model.model_.preprocessing.shape == (1, 12, 12)
    with pytest.raises(UsageError, match=r"ema=0.5 is for networks of the zoo; leave it out with a network of your"):
        quick(network=small_network(2), ema=0.5).fit(X, Y)


@undertrained
def test_small_images_are_not_enlarged_for_a_layer_of_the_user() -> None:
    layer = nn.Sequential(nn.Conv2d(4, 3), nn.Flatten(), nn.Linear(2))
    model = quick(network=layer, epochs=1).fit(X[:, :5, :5], Y)
    assert model.model_.preprocessing.shape == (1, 5, 5)


def test_a_budget_is_met_or_refused() -> None:
    with pytest.raises(UsageError, match=r"one epoch of lenet5 takes .* but .* is left for training"):
        quick(budget=0.001, epochs=None).fit(X, Y)
    assert quick(budget=60).fit(X, Y).plan_.epochs == 8


@undertrained
def test_without_a_budget_the_machine_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = Cost(image_seconds=2.0, bytes=1, compile_seconds=0.0)
    monkeypatch.setattr("opsin.planning.measurement.LocalMachine.run_cost", lambda *args: cost)
    assert quick(epochs=None, batch=None, augment="none").fit(X[:20], Y[:20]).plan_.epochs == 200
    with pytest.raises(UsageError, match="try --budget"):
        quick(epochs=None, budget=30).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"random_state": "x"}, "random_state must be a whole number or None, not 'x'"),
        ({"random_state": -1}, "the seed must be a whole number from 0"),
        ({"budget": "10min"}, "budget is a number of seconds above 0, or None, not '10min'"),
        ({"memory": -1}, "memory is a number of bytes above 0, or None, not -1"),
        ({"network": "lenet"}, "there is no network called 'lenet'; did you mean"),
        ({"size": 32}, "size=32 is for files; arrays are used as they are"),
        ({"epochs": 0}, "the number of epochs must be at least 1, not 0"),
        ({"pretrained": True, "network": "resnet18"}, "published weights need images of 224 × 224"),
    ],
)
def test_invalid_parameters_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OpsinError, match=text):
        quick(**options).fit(X, Y)


@undertrained
def test_a_failed_fit_keeps_the_earlier_result() -> None:
    model = quick(epochs=1).fit(X, Y)
    before = model.predict_proba(NEW_X)
    with pytest.raises(InputError):
        model.fit(X, Y[:-1])
    assert np.array_equal(model.predict_proba(NEW_X), before)


@undertrained
def test_fitting_again_replaces_the_result() -> None:
    model = quick(epochs=1).fit(X, Y)
    model.fit(NEW_X[:20, :, :, None].repeat(3, axis=3), np.arange(20) % 4)
    assert model.n_features_in_ == 432 and model.classes_.tolist() == [0, 1, 2, 3]


def test_unfitted(fitted: ImageClassifier) -> None:
    for ask in (lambda: quick().predict(X), lambda: quick().score(X, Y), lambda: quick().score("digits")):
        with pytest.raises(NotFitted, match=r"this ImageClassifier is not fitted yet; call fit\(X, y\) first"):
            ask()
    with pytest.raises(InputError, match="give a list of paths"):
        fitted.predict("photo.jpg")


def test_parameters() -> None:
    model = ImageClassifier(epochs=3)
    assert model.get_params()["epochs"] == 3 and model.get_params(deep=False) == model.get_params()
    assert model.set_params(epochs=4, random_state=2) is model
    assert repr(model) == "ImageClassifier(epochs=4, random_state=2)"
    assert repr(ImageClassifier("lenet5")) == "ImageClassifier(network='lenet5')"
    with pytest.raises(ParameterError, match="Invalid parameter 'epoch' for ImageClassifier; it has augment, batch"):
        model.set_params(batch=1, epoch=5)
    assert model.batch is None


def test_options_of_training_are_parameters() -> None:
    names = [name for name, _, _ in declared_options(OptionFields) if name not in NOT_PARAMETERS | ONLY_NUMBERS]
    parameters = signature(ImageClassifier).parameters
    assert list(parameters) == ["network", *names, "image_shape", "random_state", "verbose"]
    assert all(f"`{name}`: " in str(ImageClassifier.__doc__) for name in names)
    assert ImageClassifier(winograd=False).winograd is False  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"ImageClassifier.__init__\(\) got an unexpected keyword argument 'epoch'"):
        ImageClassifier(epoch=3)


def test_old_names_of_parameters_are_accepted() -> None:
    with pytest.warns(DeprecationWarning, match="the parameter smoothing is now label_smoothing"):
        model = ImageClassifier(smoothing=0.1)
    assert repr(model) == "ImageClassifier(label_smoothing=0.1)"
    with pytest.warns(DeprecationWarning, match="the parameter mirrored is now tta; the old name will be removed"):
        assert model.set_params(mirrored=True).get_params()["tta"] is True


def test_the_constructor_checks_nothing() -> None:
    shape = [28, 28]
    assert ImageClassifier(epochs=-5, image_shape=shape).get_params()["image_shape"] is shape  # type: ignore[arg-type]


def test_pickles_give_identical_predictions(fitted: ImageClassifier) -> None:
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict_proba(NEW_X), fitted.predict_proba(NEW_X))
    assert copy.get_params() == fitted.get_params()
    assert pickle.loads(pickle.dumps(quick())).get_params() == quick().get_params()


def test_pickles_with_old_names_are_loaded(fitted: ImageClassifier) -> None:
    state = fitted.__getstate__()
    old = {new: name for name, new in OLD_ATTRIBUTES.items()}
    copy = ImageClassifier.__new__(ImageClassifier)
    copy.__setstate__({old.get(name, name): value for name, value in state.items() if name != "winograd"})
    assert copy.get_params() == fitted.get_params()
    assert np.array_equal(copy.predict(NEW_X), fitted.predict(NEW_X))
    layout = ImageLayout.of(X, None, True)
    old = {new: name for name, new in RENAMED.items()}
    restored = ImageLayout.__new__(Form)
    restored.__setstate__({old.get(name, name): value for name, value in vars(layout).items()})
    assert restored == layout


@undertrained
def test_a_table_with_other_columns_is_refused() -> None:
    class Table:
        def __init__(self, x: Any, columns: list[str]) -> None:
            self.x, self.columns = x, columns

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.asarray(self.x, dtype)

    names = [f"pixel{n}" for n in range(144)]
    flat = X.reshape(len(X), -1)
    model = quick(epochs=1).fit(Table(flat, names), Y)
    assert model.feature_names_in_.tolist() == names
    assert np.array_equal(model.predict(Table(flat, names)), model.predict(flat))
    with pytest.raises(InputError, match=r"those that were passed during fit\.\nFeature names must be in"):
        model.predict(Table(flat, names[::-1]))
    with pytest.raises(InputError, match=r"unseen at fit time:\n- q\nFeature names seen at fit time, yet now missing:"):
        model.predict(Table(flat, ["q", *names[1:]]))
    assert not hasattr(model.fit(flat, Y), "feature_names_in_")


@undertrained
def test_verbose_prints_the_progress(capsys: pytest.CaptureFixture[str]) -> None:
    quick(epochs=2, verbose=True).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert (
        len(lines) == 2
        and lines[1].startswith("training, epoch 2: loss ")
        and "of 4 validation images classified correctly" in lines[1]
    )


def test_ctrl_c_is_a_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    on_event = ImageClassifier._on_event

    def press(self: ImageClassifier, event: Any, inputs: Any) -> Any:
        if isinstance(event, Step):
            os.kill(os.getpid(), signal.SIGINT)
        return on_event(self, event, inputs)

    monkeypatch.setattr(ImageClassifier, "_on_event", press)
    model = quick()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert not hasattr(model, "model_")


def test_a_useless_model_causes_a_warning() -> None:
    with pytest.warns(UserWarning, match="no better than one that always gives the same answer"):
        quick(epochs=1, learning_rate=1e-9).fit(X, Y)


def test_it_is_exported_by_the_package() -> None:
    assert opsin.ImageClassifier is ImageClassifier
