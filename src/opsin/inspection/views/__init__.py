"""The views of a page; each has a folder with its data, its script and its style."""
