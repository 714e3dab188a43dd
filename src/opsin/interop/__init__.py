"""Files of other libraries: PyTorch checkpoints, safetensors, ONNX."""
