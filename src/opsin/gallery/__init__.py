"""Galleries: vectors of known people, animals or products, in which images are looked for."""

from opsin.gallery.faces import FaceReader, PersonFace
from opsin.gallery.gallery import Gallery
from opsin.gallery.search import Match, Search

__all__ = ["FaceReader", "Gallery", "Match", "PersonFace", "Search"]
