"""The weights of a model as a PyTorch state dict."""
