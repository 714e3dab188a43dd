"""Import of networks from ONNX files; no other package is needed."""

from opsin.interop.onnx.network import Network, read

__all__ = ["Network", "read"]
