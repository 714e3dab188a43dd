"""Limits of images, for packages that decode them and for those that only know of them."""

MAX_PIXELS = 2**26
"""Largest number of pixels of an image: 67 million, such as 8,192 × 8,192."""
