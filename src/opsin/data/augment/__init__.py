"""What training changes about pictures, so that a network learns what does not matter: place, size, light, parts."""

from opsin.data.augment.apply import Augmenter
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.plan import LEVELS, plan, plan_for
from opsin.data.augment.words import in_words

__all__ = ["LEVELS", "Augmentation", "Augmenter", "in_words", "plan", "plan_for"]
