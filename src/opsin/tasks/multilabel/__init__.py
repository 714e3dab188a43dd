"""Several labels for each image: which of these does it show?"""

from opsin.tasks.multilabel.label_sets import LabelSets
from opsin.tasks.multilabel.task import MultiLabel

__all__ = ["LabelSets", "MultiLabel"]
