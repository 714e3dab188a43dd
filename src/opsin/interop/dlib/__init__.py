"""dlib's face recognition network: https://github.com/davisking/dlib-models, in the public domain (CC0)."""

from opsin.interop.dlib.network import DIMENSIONS, SHAPE
from opsin.interop.dlib.read import FaceNetwork, read

__all__ = ["DIMENSIONS", "SHAPE", "FaceNetwork", "read"]
