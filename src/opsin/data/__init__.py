"""Pictures and labels: from files to the batches that a network trains on."""

from opsin.data.augment import Augmentation
from opsin.data.batches import Batches
from opsin.data.dataset import Dataset, Pictures
from opsin.data.intake.receipt import Receipt
from opsin.data.load import load
from opsin.data.preprocessing import Preprocessing

__all__ = ["Augmentation", "Batches", "Dataset", "Pictures", "Preprocessing", "Receipt", "load"]
