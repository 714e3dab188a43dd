"""The model file of a run."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opsin.base.errors import CompileError, DataError, ModelError
from opsin.base.spread import spread
from opsin.data import Dataset
from opsin.model import Model
from opsin.model.record import GROUPED_BY, held_out, held_out_split, measured_on
from opsin.tasks.score import Score
from opsin.training.events import Epoch
from opsin.training.plan import TrainingPlan
from opsin.training.quantization import images_for_int8, recorded_count, simulated_record
from opsin.training.state import ModelState, State


class ModelWriter:
    """Makes a state of the network the run's `model`, and writes it; `path` is then where the model was saved last.

    The training record gets further `facts`.
    """

    def __init__(self, plan: TrainingPlan, data: Dataset, model: Model) -> None:
        self.plan, self.data, self.model = plan, data, model
        self.path: Path | None = None
        self.facts: dict[str, Any] = {}

    def load(self, state: ModelState) -> None:
        """Load a state into the model and calibrate the model's probabilities on the validation images."""
        self.model.load_state(state.values)
        if self.data.validation is not None and len(self.data.validation):
            self.model.calibrate(self.data.validation)

    def quantize(self, trained_images: int, values: State) -> None:
        """Record the ranges for predictions in int8, on training images, and what int8 costs on held-out images.

        If training simulated int8, the ranges are those in the `values` of its last program. The images are prepared as
        for predictions, without augmentation, and so few that they take about a fiftieth of the training on
        `trained_images`. An engine that cannot compute with integers leaves the model without a record; it can be made
        later (`Model.quantize`).
        """
        count = recorded_count(trained_images)
        both = images_for_int8(self.model, self.data)
        observed, compared = (images.take(spread(len(images), count)) for images in both)
        learned = simulated_record(self.model, self.data, values)
        try:
            if learned is None:
                self.model.quantize(observed, compared)
            else:
                self.model.adopt(learned, compared)
        except (CompileError, DataError, ModelError) as error:
            self.model.quantization = None
            logging.getLogger("opsin").info("no ranges for int8 were recorded: %s", error)

    def save(
        self,
        paths: Sequence[Path],
        state: ModelState,
        history: Sequence[Epoch],
        ending: str,
        score: Score | None = None,
    ) -> None:
        """Save the model, loaded from `state`, under all `paths`. Raise `ModelError` if that fails."""
        self.model.record = training_record(self.plan, self.data, history, state.steps, ending, score) | self.facts
        for path in paths:
            save_model(self.model, path)
            self.path = path


def training_record(
    plan: TrainingPlan, data: Dataset, history: Sequence[Epoch], steps: int, ending: str, score: Score | None
) -> dict[str, Any]:
    """Return the training record that a model of `steps` steps stores in its file. It does not depend on the clock.

    "measured_on" names the split of `score`, and the score is stored under that name: "test", or "validation" or
    "training" if the data has no test split. "held_out_split" is the split on which every epoch was measured.
    """
    record: dict[str, Any] = {
        "data": data.name,
        "fingerprint": data.fingerprint,
        "images": len(data.train),
        "held_out": len(held_out(data)),
        "held_out_split": held_out_split(data),
        "plan": plan.to_data(),
        "steps": steps,
        "ended": ending,
        "history": [
            {
                "stage": epoch.stage,
                "loss": epoch.loss,
                "held_out_loss": epoch.held_out.loss,
                **_metrics(epoch),
            }
            for epoch in history
            if epoch.steps <= steps or ending == "finished"
        ],
    }
    if data.grouped_by:
        record[GROUPED_BY] = data.grouped_by
    if score:
        split = measured_on(data)
        record |= {"measured_on": split, split: {"images": score.images, **score.metrics, "loss": score.loss}}
    return record


def _metrics(epoch: Epoch) -> dict[str, Any]:
    """Return the metrics of an epoch on the held-out images, and a classifier's accuracy in training."""
    held_out = {f"held_out_{name}": value for name, value in epoch.held_out.metrics.items()}
    return held_out if epoch.accuracy is None else {"accuracy": epoch.accuracy, **held_out}


def save_model(model: Model, path: Path) -> None:
    """Save the model in the file `path`; if that fails, in the system's folder for temporary files.

    Raise `ModelError` if `path` cannot be written; it names the other file, if there is one.
    """
    try:
        model.save(path)
    except ModelError as error:
        try:
            rescue = Path(tempfile.mkdtemp(prefix="opsin-")) / path.name
            model.save(rescue)
        except (ModelError, OSError):
            raise error from None
        raise ModelError(f"{error}\nThe trained model is safe in {rescue}: move it from there.") from None
    model.name = str(path)
