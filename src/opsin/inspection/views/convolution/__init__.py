"""The view "Step by step"."""
