"""Load labelled images from files or arrays, split them, and prepare the batches that a network trains on."""

from opsin._aliases import renamed_names
from opsin.data.augment import Augmentation
from opsin.data.batches import Batches
from opsin.data.dataset import AnnotatedImages, Dataset, LabeledImages, Samples
from opsin.data.ingest.receipt import Receipt
from opsin.data.load import load
from opsin.data.preprocessing import Preprocessing

__all__ = [
    "AnnotatedImages", "Augmentation", "Batches", "Dataset", "LabeledImages", "Preprocessing", "Receipt", "Samples",
    "load",
]  # fmt: skip

__getattr__ = renamed_names(__name__)
