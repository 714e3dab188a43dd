"""The view "Through the network": the architecture, and the feature maps and kernels of every stage."""
