"""Tables of images: which image each row means, and what its other columns hold."""
