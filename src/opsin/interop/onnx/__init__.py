"""Networks from ONNX files, read without any other package."""

from opsin.interop.onnx.network import Network, read

__all__ = ["Network", "read"]
