"""What training changes about images, so that a network learns what does not matter: place, size, light, parts."""

from opsin.data.augment.apply import Augmenter
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.messages import in_words
from opsin.data.augment.policy import LEVELS, plan, plan_for

__all__ = ["LEVELS", "Augmentation", "Augmenter", "in_words", "plan", "plan_for"]
