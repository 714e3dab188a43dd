"""What the estimators share: training on arrays or files with the interface of scikit-learn, and pickling."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.apps.estimator import files
from opsin.apps.estimator.arrays import Shape, check_array
from opsin.apps.estimator.columns import check_columns, column_names
from opsin.apps.estimator.errors import InputError, not_fitted
from opsin.apps.estimator.fit_inputs import FitInputs, Target, policy_for, prepare_inputs
from opsin.apps.estimator.parameters import RENAMED, Parameters
from opsin.base.errors import UsageError
from opsin.data import Dataset
from opsin.data import load as load_data
from opsin.data.sources.detect import TaskRequest
from opsin.model import Model, load
from opsin.model.record import held_out_split
from opsin.planning.options import TrainOptions
from opsin.tasks.score import Score
from opsin.training import Epoch, Event, Interrupted, Shortened, StoppedEarly, Trainer, TrainingPlan, Warning
from opsin.training.plan import check_seed

NO_LIMIT = 365 * 86400.0
"""Seconds of a budget that never binds: the plan then depends on data and options alone, not on the machine's speed."""

OLD_ATTRIBUTES = {**RENAMED, "_form": "_layout"}
"""Attributes in pickles of Opsin 0.1.0, and their current names."""


class ImageEstimator(Parameters):
    """An estimator for images. Subclasses say what `y` is, and what they answer."""

    network: str | nn.Layer | None
    image_shape: Shape | None
    random_state: int | None
    verbose: bool
    budget: float | None
    memory: float | None
    threads: int | None
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    model_: Model
    plan_: TrainingPlan
    history_: list[Epoch]

    _make_target: ClassVar[Callable[..., Target]]
    """From y and the number of images to the targets. Raises `InputError` for a y that cannot be used."""

    def _request(self) -> TaskRequest:
        """Return the task, and the columns of a table, that a single path is read for."""
        raise NotImplementedError

    def _score_text(self, score: Score, split: str) -> str:
        """Return the result of an epoch on a split for `verbose`: "R² 0.8512 on 40 validation images"."""
        raise NotImplementedError

    def _fit(self, X: Any, y: Any) -> Any:
        """Train, and return the targets as they are in the data."""
        begin = perf_counter()
        options, layer = self._options(), self.network if isinstance(self.network, nn.Layer) else None
        inputs = prepare_inputs(
            X, y, options, layer is not None, self.image_shape, type(self)._make_target, self._request()
        )  # fmt: skip
        plan, deadline = policy_for(inputs, layer, perf_counter() - begin)
        trainer = Trainer(plan, inputs.data, network=layer, deadline=deadline, threads=options.threads)
        messages = [text for event in trainer for text in self._on_event(event, inputs.data)]
        self._store(trainer, inputs, column_names(X))
        for text in (*_file_warnings(inputs.data), *messages):
            warnings.warn(text, UserWarning, stacklevel=3)
        return inputs.target

    def _options(self) -> TrainOptions:
        """Return the parameters as options of training. Raise `UsageError` for invalid ones."""
        seed = 0 if self.random_state is None else self.random_state
        if not isinstance(seed, Integral):
            raise UsageError(f"random_state must be a whole number or None, not {seed!r}")
        check_seed(int(seed))
        options = {name: getattr(self, name) for name in self._option_defaults()} | {
            "network": self.network if isinstance(self.network, str) else None,
            "seed": int(seed),
            "search": False,
            "budget": _check_amount("budget", self.budget, "seconds") or NO_LIMIT,
            "memory": _check_amount("memory", self.memory, "bytes"),
        }
        return TrainOptions(**options)

    def _on_event(self, event: Event, data: Dataset) -> Iterator[str]:
        """Print the progress if wanted, and yield the texts of warnings."""
        if isinstance(event, Interrupted):
            raise KeyboardInterrupt
        if isinstance(event, Warning):
            yield event.text
        if self.verbose and isinstance(event, Epoch):
            score = self._score_text(event.held_out, held_out_split(data))
            print(f"{event.stage}, epoch {event.epoch}: loss {event.loss:.4f}, {score}")
        if self.verbose and isinstance(event, Shortened | StoppedEarly):
            print(f"{event.stage} ends after epoch {event.epoch if isinstance(event, StoppedEarly) else event.epochs}")

    def _store(self, trainer: Trainer, inputs: FitInputs, names: NDArray[np.object_] | None) -> None:
        """Set the fitted attributes."""
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit, to something else
            self.__dict__.pop(name, None)
        self.model_, self.plan_, self.history_ = trainer.model, trainer.plan, trainer.history
        self.receipt_, self._layout = inputs.data.receipt, inputs.layout
        if inputs.layout:
            self.n_features_in_ = int(np.prod(inputs.layout.sample))
        if inputs.layout and names is not None:
            self.feature_names_in_ = names

    def _answers(self, X: Any, answer: Callable[[NDArray[np.uint8]], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return what `answer` gives for the images X, uint8 N×C×H×W, arrays or paths as in `fit`."""
        model = self._fitted_model()
        if files.is_source(X):
            raise InputError(f"'{X}' is one path; give a list of paths of images")
        if files.is_paths(X):
            return np.concatenate([answer(pixels) for pixels in files.read(files.paths_of(X), model.preprocessing)])
        if self._layout is None:
            raise InputError(f"this {type(self).__name__} was trained on files; give a list of paths")
        check_columns(X, getattr(self, "feature_names_in_", None))
        array = check_array(X)
        pixels = self._layout.pixels(array, type(self).__name__)
        if text := self._layout.scale_warning(array):
            warnings.warn(text, UserWarning, stacklevel=3)
        return answer(pixels)

    def _evaluation_of_source(self, source: str | os.PathLike[str], y: Any) -> Any:
        """Return the evaluation on the images at one path: the test split, or all if the data has none."""
        model, request = self._fitted_model(), self._request()
        if y is not None:
            raise UsageError(f"{source} has its own labels; leave y out")
        data = load_data(source, model.preprocessing, task=request.task, target=request.columns)
        has_test = data.predefined_split or data.fingerprint == model.record["fingerprint"]
        return model.evaluate(data.require_test() if has_test else data.all_images())

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

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore a pickle, also one of Opsin 0.1.0."""
        self.__dict__.update(self._option_defaults())
        self.__dict__.update({OLD_ATTRIBUTES.get(name, name): value for name, value in state.items()})
        if "model_" in state:
            with tempfile.TemporaryDirectory(prefix="opsin-") as folder:
                path = Path(folder) / "model.opsin"
                path.write_bytes(state["model_"])
                self.model_ = load(path, threads=self.threads)
            self.model_.name = "the model"


def _check_amount(name: str, value: float | None, unit: str) -> float | None:
    if value is not None and not (isinstance(value, Real) and 0 < value < np.inf):
        raise UsageError(f"{name} is a number of {unit} above 0, or None, not {value!r}")
    return None if value is None else float(value)


def _file_warnings(data: Dataset) -> Iterator[str]:
    """Yield a warning about files that were left out."""
    problems = data.receipt.problems if data.receipt else ()
    if problems:
        first = problems[0]
        yield f"{len(problems)} of the files cannot be used, such as {first.name}: {first.reason}; see receipt_ for all"
