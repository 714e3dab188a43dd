"""`ImageRegressor`: numbers from images with the interface of scikit-learn, for its pipelines and searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.apps.estimator import files
from opsin.apps.estimator.arrays import Shape
from opsin.apps.estimator.base import ImageEstimator
from opsin.apps.estimator.numbers import NumberTarget, check_numbers
from opsin.apps.estimator.parameters import REGRESSOR_DEFAULTS, describe_options, option_parameters
from opsin.base.errors import UsageError
from opsin.data.sources.detect import TaskRequest
from opsin.tasks.regression import Regression
from opsin.tasks.regression.results import r2
from opsin.tasks.score import Score


class ImageRegressor(ImageEstimator):
    """A convolutional network that reads numbers off images.

    `network` is the name of a network of the zoo, an `nn.Layer`, or None: Opsin chooses, as `opsin train` does.
    `image_shape` is the shape of flattened images: (height, width), (height, width, channels) or (channels, height,
    width). `target` names the columns of a table to learn if X is a single path; None: those that `opsin train` takes.
    `verbose` prints a line per epoch. The other parameters are the options of `opsin train`; with None, Opsin chooses.
    `budget` is in seconds, `memory` in bytes.

    The same `random_state` (None is 0) and data give bit-identical models. With a `budget` they may not, because the
    amount of training then depends on the speed of the machine.

    After `fit`: `n_outputs_`, how many numbers an image has; `model_`, an `opsin.Model`; `plan_`, the training plan;
    `history_`, the result of each epoch; `receipt_`, what was found in files (None for arrays); for arrays
    `n_features_in_`, the numbers per image, and for tables `feature_names_in_`, the column names.
    """

    n_outputs_: int
    _estimator_type = "regressor"
    _make_target = NumberTarget.of

    @classmethod
    def _option_defaults(cls) -> dict[str, Any]:
        return REGRESSOR_DEFAULTS

    @option_parameters(REGRESSOR_DEFAULTS)
    def __init__(
        self,
        network: str | nn.Layer | None = None,
        *,
        image_shape: Shape | None = None,
        target: str | Sequence[str] | None = None,
        random_state: int | None = 0,
        verbose: bool = False,
        **options: Any,
    ) -> None:
        self.network = network
        self.image_shape = image_shape
        self.target = target
        self.random_state = random_state
        self.verbose = verbose
        self._set_options(options)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on images X with numbers y, and return this regressor.

        X: arrays N×H×W, N×H×W×C or N×C×H×W (C is 1 or 3), flattened images N×F, or N paths of image files. y: N
        numbers, or N × quantities; the names of pandas' columns become those of the quantities. X may also be a single
        path, of anything that `opsin train` takes ("drive.zip"): it has its own numbers and splits, and its test split
        remains unseen, for `score`. Of other data, about a tenth is held out for validation and for the intervals.
        Numbers in X other than bytes are scaled: the minimum of X becomes black, the maximum white.

        Raise `InputError`, a ValueError, if X or y cannot be used, and other errors of Opsin. Ctrl-C raises
        KeyboardInterrupt; the result of an earlier `fit` is kept then.
        """
        target: NumberTarget | None = self._fit(X, y)
        self.n_outputs_ = len(self.model_.labels)
        self._is_flat = self.n_outputs_ == 1 if target is None else target.is_flat
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the numbers of each image: N, or N × quantities if y was such a table."""
        return self._shaped(self._values(X))

    def predict_interval(self, X: Any) -> NDArray[np.float64]:
        """Return the lowest and the highest number of each image's 90 % interval: N × 2, or N × quantities × 2.

        The true number lies in it with a probability of 90 %, if the image is like those of training. Raise
        `UsageError` if too few images were held out to know.
        """
        self._fitted_model()
        if self.model_.calibration is None:
            raise UsageError(
                "there are no intervals: too few images were held out to fit them to; fit on 90 images or more"
            )
        margins = np.array(self.model_.calibration.margins)
        values = self._values(X)
        return self._shaped(np.stack([values - margins, values + margins], axis=2))

    def score(self, X: Any, y: Any = None) -> float:
        """Return R² for images X with numbers y: 1 is best, 0 as good as the mean of y; of several, their mean.

        For a single path ("drive.zip"), it is measured on the test split; on all images if there is no test split and
        the regressor was trained on other data.
        """
        if files.is_source(X):
            return float(self._evaluation_of_source(X, y).score.value)
        values = self._values(X)
        truth = check_numbers(y, len(values))
        if truth.shape != values.shape:
            raise UsageError(f"y holds {truth.shape[1]} numbers for each image, but {values.shape[1]} are predicted")
        scores = r2(values, truth)
        exact = (values == truth).all(axis=0)
        return float(np.where(np.isnan(scores), exact, scores).mean())

    def _values(self, X: Any) -> NDArray[np.float64]:
        """Return the numbers of each image, N × quantities."""
        return self._answers(X, lambda pixels: self.model_.task.values(self.model_.outputs(pixels)))

    def _shaped(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return N × quantities (× 2) in the form of y."""
        return values[:, 0] if self._is_flat else values

    def _request(self) -> TaskRequest:
        columns = (self.target,) if isinstance(self.target, str) else tuple(self.target or ())
        return TaskRequest(Regression.name, columns)

    def _score_text(self, score: Score, split: str) -> str:
        return f"R² {score.value:.4f} on {score.images:,} {split} images"


ImageRegressor.__doc__ = (
    f"{ImageRegressor.__doc__}\n    Options of training:\n\n{describe_options(REGRESSOR_DEFAULTS)}\n    "
)
