"""How a network learned: its kernels, feature maps and answers at moments of its training."""
