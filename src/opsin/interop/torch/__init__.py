"""PyTorch's checkpoints, read without executing anything in them."""
