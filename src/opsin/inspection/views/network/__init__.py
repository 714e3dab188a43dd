"""The way of an image through the network: the architecture, and the feature maps and kernels of every stage."""
