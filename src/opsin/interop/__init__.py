"""Import of files from other libraries: PyTorch checkpoints, safetensors, NPZ and ONNX."""
