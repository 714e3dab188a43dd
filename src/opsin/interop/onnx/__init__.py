"""Networks in ONNX files, read and written; no other package is needed."""

from opsin.interop.onnx.byte_input import ByteInput
from opsin.interop.onnx.network import Network, read
from opsin.interop.onnx.operators import NodeWriter
from opsin.interop.onnx.own_graph import is_own
from opsin.interop.onnx.write import OPSET, to_bytes

__all__ = ["OPSET", "ByteInput", "Network", "NodeWriter", "is_own", "read", "to_bytes"]
