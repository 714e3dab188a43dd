"""Read all images once before training: check and decode them, find duplicates, and assign them to splits."""
