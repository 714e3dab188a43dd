"""What a network computes for an image, and why it gives its answer: feature maps, gradients, explanations.

from opsin import explain

for result in explain.attribute(model, ["cat.jpg"], label="cat"):
    print(result, result.peak)
    result.display  # height × width, from 0 to 1
"""

from opsin.explain.attribution.attribution import Attribution
from opsin.explain.attribution.registry import METHODS
from opsin.explain.explainer import Explainer, attribute

__all__ = ["METHODS", "Attribution", "Explainer", "attribute"]
