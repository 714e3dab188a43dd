"""Heads of detectors: where they predict, what they learn there, the loss, and the boxes that outputs stand for."""

from opsin.tasks.detection.heads.anchors import LAYOUTS, AnchorHead, Layout
from opsin.tasks.detection.heads.create import create
from opsin.tasks.detection.heads.head import BACKGROUND, IGNORED, Candidates, Head
from opsin.tasks.detection.heads.point import PointHead

__all__ = ["BACKGROUND", "IGNORED", "LAYOUTS", "AnchorHead", "Candidates", "Head", "Layout", "PointHead", "create"]
