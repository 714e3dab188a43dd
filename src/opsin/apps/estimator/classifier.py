"""`ImageClassifier`: training and prediction with the interface of scikit-learn, for its pipelines and searches."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.apps.estimator import files
from opsin.apps.estimator.arrays import Shape
from opsin.apps.estimator.base import ImageEstimator
from opsin.apps.estimator.labels import ClassTarget, check_labels
from opsin.apps.estimator.parameters import DEFAULTS, describe_options, option_parameters
from opsin.base.formatting import percent
from opsin.data.sources.detect import TaskRequest
from opsin.tasks.registry import CLASSIFICATION
from opsin.tasks.score import Score


class ImageClassifier(ImageEstimator):
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
    _make_target = ClassTarget.of

    @option_parameters(DEFAULTS)
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
        target: ClassTarget | None = self._fit(X, y)
        names = self.model_.labels if target is None else target.names
        self.classes_ = np.array(names) if target is None else target.classes
        self._columns = np.array([self.model_.labels.index(name) for name in names])
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each of `classes_`, N × classes, for arrays or paths as in `fit`.

        The probabilities are calibrated if there were enough images for that.
        """
        return self._answers(X, lambda pixels: self.model_.probabilities(pixels))[:, self._columns]

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
            return float(self._evaluation_of_source(X, y).accuracy)
        predictions = self.predict(X)
        return float((predictions == check_labels(y, len(predictions))).mean())

    def _request(self) -> TaskRequest:
        return TaskRequest(CLASSIFICATION)

    def _score_text(self, score: Score, split: str) -> str:
        return f"{percent(score.accuracy, digits=2)} of {score.images:,} {split} images classified correctly"


ImageClassifier.__doc__ = f"{ImageClassifier.__doc__}\n    Options of training:\n\n{describe_options(DEFAULTS)}\n    "
