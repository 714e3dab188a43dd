"""How a network learned: its kernels, feature maps and answers at each snapshot of its training."""
