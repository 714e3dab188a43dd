"""The page as a file: arrays, document, scripts and styles."""
