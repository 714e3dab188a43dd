"""Backpropagation step by step: from the loss of one image back to one weight, and the optimizer's update of it."""
