"""Object detection: boxes of objects in images, their classes, and how far a network finds them."""

from opsin.tasks.detection.boxes import Boxes, ImageBoxes
from opsin.tasks.detection.task import ObjectDetection

__all__ = ["Boxes", "ImageBoxes", "ObjectDetection"]
