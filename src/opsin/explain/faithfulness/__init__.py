"""Faithfulness: does a map show what the network uses? What happens to the answer if places are removed."""

from opsin.explain.faithfulness.comparison import Comparison, Figure
from opsin.explain.faithfulness.confidence import Confidence
from opsin.explain.faithfulness.measurement import Faithfulness, measure, measure_baselines

__all__ = ["Comparison", "Confidence", "Faithfulness", "Figure", "measure", "measure_baselines"]
