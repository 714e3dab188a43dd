"""Self-supervised learning: features of images without labels."""

from opsin.tasks.self_supervised.targets import Unlabelled
from opsin.tasks.self_supervised.task import SelfSupervised

__all__ = ["SelfSupervised", "Unlabelled"]
