"""Object detection: boxes of objects in images, their classes, and how far a network finds them."""
