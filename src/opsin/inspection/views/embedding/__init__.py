"""The map of a dataset's images, by their features at the last layer."""
