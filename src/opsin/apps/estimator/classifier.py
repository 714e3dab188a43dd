"""`ImageClassifier`: training and prediction in the manner of scikit-learn, for its pipelines, searches and scores."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.apps.estimator import arrays, columns, files, labels
from opsin.apps.estimator.arrays import Shape
from opsin.apps.estimator.fit_inputs import FitInputs, material, plan_for
from opsin.apps.estimator.parameters import Parameters
from opsin.apps.estimator.problems import InputError, not_fitted
from opsin.base.errors import UsageError
from opsin.data import load as load_data
from opsin.model import Model, load
from opsin.planning.options import TrainOptions
from opsin.training import Epoch, Event, Interrupted, Shortened, StoppedEarly, Trainer, TrainingPlan, Warning
from opsin.training.plan import check_seed

FOREVER = 365 * 86400.0
"""Seconds of a budget that never binds: the plan then depends on data and options alone, not on the machine's speed."""


class ImageClassifier(Parameters):
    """Learns to tell images apart.

    `network` is a name of the zoo, a layer of one's own, or None: Opsin chooses, as `opsin train` does. The other
    parameters are the options of that command, None again leaves them to Opsin: `pretrained` (begin with published
    weights), `size` (the side that files are brought to), `epochs`, `batch`, `learning_rate`, `optimizer` ("gd", "sgd",
    "adam", "adamw", "adagrad", "rmsprop"), `momentum`, `weight_decay`, `schedule` ("one_cycle", "cosine", "step",
    "constant"), `flip` (mirror images at random, or never), `augment` ("none", "light", "strong"), `ema`,
    `smoothing`, `mirrored`, `class_weights`, `patience`, `budget` (in seconds), `memory` (in
    bytes), `threads`. `image_shape` says what flattened images were: (height, width), (height, width, channels) or
    (channels, height, width). `verbose` prints a line an epoch.

    The same `random_state` (None is 0) and data give the same bits. With a `budget` they may not: how much is learnt
    then follows from the speed of the machine.

    After `fit`: `classes_`, the labels, sorted; `model_`, an `opsin.Model`, to be saved and asked for more; `plan_`,
    what was done; `history_`, the result of each epoch; `receipt_`, what was found in files (None for arrays); of
    arrays `n_features_in_`, the numbers in an image, and of tables `feature_names_in_`, the columns' names.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    model_: Model
    plan_: TrainingPlan
    history_: list[Epoch]

    def __init__(
        self,
        network: str | nn.Layer | None = None,
        *,
        pretrained: bool | None = None,
        size: int | None = None,
        epochs: int | None = None,
        batch: int | None = None,
        learning_rate: float | None = None,
        optimizer: str | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        schedule: str | None = None,
        flip: bool | None = None,
        augment: str | None = None,
        ema: float | None = None,
        smoothing: float | None = None,
        mirrored: bool = False,
        class_weights: bool | None = None,
        patience: int | None = None,
        budget: float | None = None,
        memory: float | None = None,
        image_shape: Shape | None = None,
        random_state: int | None = 0,
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.network = network
        self.pretrained = pretrained
        self.size = size
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.flip = flip
        self.augment = augment
        self.ema = ema
        self.smoothing = smoothing
        self.mirrored = mirrored
        self.class_weights = class_weights
        self.patience = patience
        self.budget = budget
        self.memory = memory
        self.image_shape = image_shape
        self.random_state = random_state
        self.threads = threads
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns from images X with labels y.

        X: arrays N×H×W, N×H×W×C or N×C×H×W (C 1 or 3), flattened ones N×F, or N paths of image files. y: N labels,
        of any kind that can be sorted. X may also be one path alone, of whatever `opsin train` takes ("photos/"):
        labels and division are then its own, and a test part stays unseen, for `score`. Of other data, about a tenth
        of each class is not learnt from either, but used to choose and to calibrate by. Numbers other than bytes are
        scaled: the least in X becomes black, the largest white.

        Raises `InputError`, a ValueError, for X and y that cannot be used, and Opsin's other errors. Ctrl-C is a
        KeyboardInterrupt; whatever was learnt before the call stays.
        """
        begin = perf_counter()
        wishes, layer = self._wishes(), self.network if isinstance(self.network, nn.Layer) else None
        made = material(X, y, wishes, layer is not None, self.image_shape)
        plan, deadline = plan_for(made, layer, perf_counter() - begin)
        training = Trainer(plan, made.data, network=layer, deadline=deadline, threads=wishes.threads)
        told = [text for event in training for text in self._heed(event)]
        self._keep(training, made, columns.names_of(X))
        for text in (*_unusable(made), *told):
            warnings.warn(text, UserWarning, stacklevel=2)
        return self

    def _wishes(self) -> TrainOptions:
        """The parameters as training wants them. `UsageError` where they are nothing of the kind."""
        seed = 0 if self.random_state is None else self.random_state
        if not isinstance(seed, Integral):
            raise UsageError(f"random_state must be a whole number or None, not {seed!r}")
        check_seed(int(seed))
        return TrainOptions(
            network=self.network if isinstance(self.network, str) else None, pretrained=self.pretrained,
            size=self.size, epochs=self.epochs, batch=self.batch, learning_rate=self.learning_rate,
            optimizer=self.optimizer, momentum=self.momentum, weight_decay=self.weight_decay, schedule=self.schedule,
            flip=self.flip, augment=self.augment, ema=self.ema, smoothing=self.smoothing,
            class_weights=self.class_weights, patience=self.patience, mirrored=self.mirrored, seed=int(seed),
            threads=self.threads, search=False,
            budget=_amount("budget", self.budget, "seconds") or FOREVER, memory=_amount("memory", self.memory, "bytes"),
        )  # fmt: skip

    def _heed(self, event: Event) -> Iterator[str]:
        """Tells how training goes, and gives what is to be warned of."""
        if isinstance(event, Interrupted):
            raise KeyboardInterrupt
        if isinstance(event, Warning):
            yield event.text
        if self.verbose and isinstance(event, Epoch):
            told = f"loss {event.loss:.4f}, {event.held_out.accuracy:.2%} of {event.held_out.images:,} images right"
            print(f"{event.stage}, epoch {event.epoch}: {told}")
        if self.verbose and isinstance(event, Shortened | StoppedEarly):
            print(f"{event.stage} ends after epoch {event.epoch if isinstance(event, StoppedEarly) else event.epochs}")

    def _keep(self, training: Trainer, made: FitInputs, names: NDArray[np.object_] | None) -> None:
        for each in ("n_features_in_", "feature_names_in_"):  # of an earlier fit, to something else
            self.__dict__.pop(each, None)
        self.model_, self.plan_, self.history_ = training.model, training.plan, training.history
        self.classes_, self.receipt_, self._form = made.classes, made.data.receipt, made.form
        self._columns = np.array([self.model_.labels.index(name) for name in made.names])
        if made.form:
            self.n_features_in_ = int(np.prod(made.form.sample))
        if made.form and names is not None:
            self.feature_names_in_ = names

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each of `classes_` for arrays or paths as `fit` took them: N × classes, calibrated where
        there were images enough for that.
        """
        model = self._fitted()
        if files.is_source(X):
            raise InputError(f"'{X}' is one path; give a list of paths, of the images")
        if files.is_paths(X):
            parts = [model.probabilities(pixels) for pixels in files.read(files.paths_of(X), model.preprocessing)]
            return np.concatenate(parts)[:, self._columns]
        if self._form is None:
            raise InputError(f"this {type(self).__name__} has learnt from files; give a list of paths")
        columns.check(X, getattr(self, "feature_names_in_", None))
        array = arrays.checked(X)
        pixels = self._form.pixels(array, type(self).__name__)
        if notice := self._form.notice(array):
            warnings.warn(notice, UserWarning, stacklevel=2)
        return model.probabilities(pixels)[:, self._columns]

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest label of each image: N of `classes_`."""
        shares = self.predict_proba(X)
        chosen: NDArray[Any] = self.classes_[shares.argmax(axis=1)]
        return chosen

    def score(self, X: Any, y: Any = None) -> float:
        """The share of images that are given their label y, 0 to 1.

        For a path alone ("photos/"), of its test part; of all its images, where it brings none and is not what was
        learnt from.
        """
        if files.is_source(X):
            return self._score_of(X, y)
        predicted = self.predict(X)
        return float((predicted == labels.checked(y, len(predicted))).mean())

    def _score_of(self, source: str | os.PathLike[str], y: Any) -> float:
        model = self._fitted()
        if y is not None:
            raise UsageError(f"{source} says itself what its images show; leave y out")
        data = load_data(source, model.preprocessing)
        mine = data.predefined_split or data.fingerprint == model.record["fingerprint"]
        return model.evaluate(data.require_test() if mine else data.all_images()).accuracy

    def _fitted(self) -> Model:
        if not hasattr(self, "model_"):
            raise not_fitted(type(self).__name__)
        return self.model_

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and joblib: the model is its file."""
        state = self.__dict__.copy()
        if "model_" in state:
            with tempfile.TemporaryDirectory(prefix="opsin-") as folder:
                path = Path(folder) / "model.opsin"
                self.model_.save(path)
                state["model_"] = path.read_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "model_" in state:
            with tempfile.TemporaryDirectory(prefix="opsin-") as folder:
                path = Path(folder) / "model.opsin"
                path.write_bytes(state["model_"])
                self.model_ = load(path, threads=self.threads)
            self.model_.name = "the model"


def _amount(name: str, value: float | None, unit: str) -> float | None:
    if value is not None and not (isinstance(value, Real) and 0 < value < np.inf):
        raise UsageError(f"{name} is a number of {unit} above 0, or None, not {value!r}")
    return None if value is None else float(value)


def _unusable(made: FitInputs) -> Iterator[str]:
    """Says which files training did without."""
    problems = made.data.receipt.problems if made.data.receipt else ()
    if problems:
        first = problems[0]
        yield f"{len(problems)} of the files cannot be used, such as {first.name}: {first.reason}; receipt_ has all"
