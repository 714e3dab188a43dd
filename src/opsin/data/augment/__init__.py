"""Data augmentation: random changes of training images that leave their class unchanged."""

from opsin.data.augment.apply import Augmenter
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.messages import describe
from opsin.data.augment.policy import LEVELS, policy_for, preset, views_preset

__all__ = ["LEVELS", "Augmentation", "Augmenter", "describe", "policy_for", "preset", "views_preset"]
