"""Detect and list training data: files and folders become a `Source`, arrays a `Dataset`."""

from opsin.data.sources.detect import open_source
from opsin.data.sources.folder import image_files

__all__ = ["image_files", "open_source"]
