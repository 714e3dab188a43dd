"""Backpropagation, from the loss back to one weight and its update."""
