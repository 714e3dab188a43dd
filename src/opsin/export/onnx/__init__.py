"""The ONNX file of a model, for other runtimes."""
