"""Tasks: the question that a network answers about an image, one package for each."""
