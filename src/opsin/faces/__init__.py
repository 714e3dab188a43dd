"""Faces in photographs: where they are, and aligned images of them, for networks that compare faces."""

from opsin.faces.alignment import ARCFACE, DLIB, Template, align, similarity
from opsin.faces.detector import FaceDetector
from opsin.faces.face import Face
from opsin.faces.vectors import face_vectors

__all__ = ["ARCFACE", "DLIB", "Face", "FaceDetector", "Template", "align", "face_vectors", "similarity"]
