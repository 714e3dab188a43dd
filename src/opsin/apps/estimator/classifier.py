"""`ImageClassifier`: training and prediction with the interface of scikit-learn, for its pipelines and searches."""

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
from opsin.apps.estimator import files
from opsin.apps.estimator.arrays import Shape, check_array
from opsin.apps.estimator.columns import check_columns, column_names
from opsin.apps.estimator.errors import InputError, not_fitted
from opsin.apps.estimator.fit_inputs import FitInputs, policy_for, prepare_inputs
from opsin.apps.estimator.labels import check_labels
from opsin.apps.estimator.parameters import DEFAULTS, RENAMED, Parameters, describe_options, option_parameters
from opsin.base.errors import UsageError
from opsin.base.formatting import percent
from opsin.data import load as load_data
from opsin.model import Model, load
from opsin.model.record import held_out_split
from opsin.planning.options import TrainOptions
from opsin.training import Epoch, Event, Interrupted, Shortened, StoppedEarly, Trainer, TrainingPlan, Warning
from opsin.training.plan import check_seed

NO_LIMIT = 365 * 86400.0
"""Seconds of a budget that never binds: the plan then depends on data and options alone, not on the machine's speed."""

OLD_ATTRIBUTES = {**RENAMED, "_form": "_layout"}
"""Attributes in pickles of Opsin 0.1.0, and their current names."""


class ImageClassifier(Parameters):
    """A convolutional network that classifies images.

    `network` is the name of a network of the zoo, an `nn.Layer`, or None: Opsin chooses, as `opsin train` does.
    `image_shape` is the shape of flattened images: (height, width), (height, width, channels) or (channels, height,
    width). `verbose` prints a line per epoch. The other parameters are the options of `opsin train`; with None, Opsin
    chooses. `budget` is in seconds, `memory` in bytes.

    The same `random_state` (None is 0) and data give bit-identical models. With a `budget` they may not, because the
    amount of training then depends on the speed of the machine.

    After `fit`: `classes_`, the labels, sorted; `model_`, an `opsin.Model`; `plan_`, the training plan; `history_`, the
    result of each epoch; `receipt_`, what was found in files (None for arrays); for arrays `n_features_in_`, the
    numbers per image, and for tables `feature_names_in_`, the column names.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    model_: Model
    plan_: TrainingPlan
    history_: list[Epoch]
    budget: float | None
    memory: float | None
    threads: int | None

    @option_parameters
    def __init__(
        self,
        network: str | nn.Layer | None = None,
        *,
        image_shape: Shape | None = None,
        random_state: int | None = 0,
        verbose: bool = False,
        **options: Any,
    ) -> None:
        self.network = network
        self.image_shape = image_shape
        self.random_state = random_state
        self.verbose = verbose
        self._set_options(options)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on images X with labels y, and return this classifier.

        X: arrays N×H×W, N×H×W×C or N×C×H×W (C is 1 or 3), flattened images N×F, or N paths of image files. y: N labels
        of any type that can be sorted. X may also be a single path, of anything that `opsin train` takes ("photos/"):
        it has its own labels and splits, and its test split remains unseen, for `score`. Of other data, about a tenth
        of each class is held out for validation and calibration. Numbers other than bytes are scaled: the minimum of X
        becomes black, the maximum white.

        Raise `InputError`, a ValueError, if X or y cannot be used, and other errors of Opsin. Ctrl-C raises
        KeyboardInterrupt; the result of an earlier `fit` is kept then.
        """
        begin = perf_counter()
        options, layer = self._options(), self.network if isinstance(self.network, nn.Layer) else None
        inputs = prepare_inputs(X, y, options, layer is not None, self.image_shape)
        plan, deadline = policy_for(inputs, layer, perf_counter() - begin)
        trainer = Trainer(plan, inputs.data, network=layer, deadline=deadline, threads=options.threads)
        messages = [text for event in trainer for text in self._on_event(event, inputs)]
        self._store(trainer, inputs, column_names(X))
        for text in (*_file_warnings(inputs), *messages):
            warnings.warn(text, UserWarning, stacklevel=2)
        return self

    def _options(self) -> TrainOptions:
        """Return the parameters as options of training. Raise `UsageError` for invalid ones."""
        seed = 0 if self.random_state is None else self.random_state
        if not isinstance(seed, Integral):
            raise UsageError(f"random_state must be a whole number or None, not {seed!r}")
        check_seed(int(seed))
        options = {name: getattr(self, name) for name in DEFAULTS} | {
            "network": self.network if isinstance(self.network, str) else None,
            "seed": int(seed),
            "search": False,
            "budget": _check_amount("budget", self.budget, "seconds") or NO_LIMIT,
            "memory": _check_amount("memory", self.memory, "bytes"),
        }
        return TrainOptions(**options)

    def _on_event(self, event: Event, inputs: FitInputs) -> Iterator[str]:
        """Print the progress if wanted, and yield the texts of warnings."""
        if isinstance(event, Interrupted):
            raise KeyboardInterrupt
        if isinstance(event, Warning):
            yield event.text
        if self.verbose and isinstance(event, Epoch):
            accuracy = percent(event.held_out.accuracy, digits=2)
            split = held_out_split(inputs.data)
            score = f"{accuracy} of {event.held_out.images:,} {split} images classified correctly"
            print(f"{event.stage}, epoch {event.epoch}: loss {event.loss:.4f}, {score}")
        if self.verbose and isinstance(event, Shortened | StoppedEarly):
            print(f"{event.stage} ends after epoch {event.epoch if isinstance(event, StoppedEarly) else event.epochs}")

    def _store(self, trainer: Trainer, inputs: FitInputs, names: NDArray[np.object_] | None) -> None:
        """Set the fitted attributes."""
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit, to something else
            self.__dict__.pop(name, None)
        self.model_, self.plan_, self.history_ = trainer.model, trainer.plan, trainer.history
        self.classes_, self.receipt_, self._layout = inputs.classes, inputs.data.receipt, inputs.layout
        self._columns = np.array([self.model_.labels.index(name) for name in inputs.names])
        if inputs.layout:
            self.n_features_in_ = int(np.prod(inputs.layout.sample))
        if inputs.layout and names is not None:
            self.feature_names_in_ = names

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each of `classes_`, N × classes, for arrays or paths as in `fit`.

        The probabilities are calibrated if there were enough images for that.
        """
        model = self._fitted_model()
        if files.is_source(X):
            raise InputError(f"'{X}' is one path; give a list of paths of images")
        if files.is_paths(X):
            chunks = files.read(files.paths_of(X), model.preprocessing)
            return np.concatenate([model.probabilities(pixels) for pixels in chunks])[:, self._columns]
        if self._layout is None:
            raise InputError(f"this {type(self).__name__} was trained on files; give a list of paths")
        check_columns(X, getattr(self, "feature_names_in_", None))
        array = check_array(X)
        pixels = self._layout.pixels(array, type(self).__name__)
        if text := self._layout.scale_warning(array):
            warnings.warn(text, UserWarning, stacklevel=2)
        return model.probabilities(pixels)[:, self._columns]

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most likely label of each image: N of `classes_`."""
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def score(self, X: Any, y: Any = None) -> float:
        """Return the accuracy for images X with labels y, 0 to 1.

        For a single path ("photos/"), it is measured on the test split; on all images if there is no test split and
        the classifier was trained on other data.
        """
        if files.is_source(X):
            return self._score_of_source(X, y)
        predictions = self.predict(X)
        return float((predictions == check_labels(y, len(predictions))).mean())

    def _score_of_source(self, source: str | os.PathLike[str], y: Any) -> float:
        model = self._fitted_model()
        if y is not None:
            raise UsageError(f"{source} has its own labels; leave y out")
        data = load_data(source, model.preprocessing)
        has_test = data.predefined_split or data.fingerprint == model.record["fingerprint"]
        accuracy: float = model.evaluate(data.require_test() if has_test else data.all_images()).accuracy
        return accuracy

    def _fitted_model(self) -> Model:
        if not hasattr(self, "model_"):
            raise not_fitted(type(self).__name__)
        return self.model_

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes for pickle and joblib, with the model as the bytes of its file."""
        state = self.__dict__.copy()
        if "model_" in state:
            with tempfile.TemporaryDirectory(prefix="opsin-") as folder:
                path = Path(folder) / "model.opsin"
                self.model_.save(path)
                state["model_"] = path.read_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, also one of Opsin 0.1.0."""
        self.__dict__.update(DEFAULTS)
        self.__dict__.update({OLD_ATTRIBUTES.get(name, name): value for name, value in state.items()})
        if "model_" in state:
            with tempfile.TemporaryDirectory(prefix="opsin-") as folder:
                path = Path(folder) / "model.opsin"
                path.write_bytes(state["model_"])
                self.model_ = load(path, threads=self.threads)
            self.model_.name = "the model"


ImageClassifier.__doc__ = f"{ImageClassifier.__doc__}\n    Options of training:\n\n{describe_options()}\n    "


def _check_amount(name: str, value: float | None, unit: str) -> float | None:
    if value is not None and not (isinstance(value, Real) and 0 < value < np.inf):
        raise UsageError(f"{name} is a number of {unit} above 0, or None, not {value!r}")
    return None if value is None else float(value)


def _file_warnings(inputs: FitInputs) -> Iterator[str]:
    """Yield a warning about files that were left out."""
    problems = inputs.data.receipt.problems if inputs.data.receipt else ()
    if problems:
        first = problems[0]
        yield f"{len(problems)} of the files cannot be used, such as {first.name}: {first.reason}; see receipt_ for all"
