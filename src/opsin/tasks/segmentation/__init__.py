"""Semantic segmentation: which class does each pixel of an image belong to?"""

from opsin.tasks.segmentation.masks import Masks
from opsin.tasks.segmentation.task import SemanticSegmentation

__all__ = ["Masks", "SemanticSegmentation"]
