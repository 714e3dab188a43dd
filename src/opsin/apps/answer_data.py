"""An answer as data for JSON, as `opsin predict --json` and `opsin serve` give it."""

from __future__ import annotations

from typing import Any

from opsin.base.errors import DataError
from opsin.model import Prediction


def answer_data(name: str, answer: Any) -> dict[str, Any]:
    """Return the answer for the image `name`, or the error, as data for JSON."""
    if isinstance(answer, DataError):
        return {"image": name, "error": str(answer)}
    if not isinstance(answer, Prediction):
        return {"image": name, **answer.to_data()}
    ranked = [{"label": label, "probability": probability} for label, probability in answer.ranking]
    reliability = {} if answer.reliable is None else {"known": answer.reliable}
    labels = {} if answer.labels is None else {"labels": list(answer.labels)}
    label = {"label": answer.label, "probability": answer.probability}
    return {"image": name, **label, **reliability, **labels, "ranked": ranked}
