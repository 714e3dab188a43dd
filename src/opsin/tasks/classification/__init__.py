"""Classification: which one of several classes does an image show?"""

from opsin.tasks.classification.labels import ClassLabels
from opsin.tasks.classification.task import Classification

__all__ = ["ClassLabels", "Classification"]
