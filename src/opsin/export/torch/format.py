"""The weights of a model as a safetensors file, which PyTorch's `load_state_dict` takes.

The names are those of the network's variables. Networks of torchvision have torchvision's names, so that its modules
load them as they are.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from opsin.export.format import Files, Format
from opsin.model import Model


def export(model: Model) -> Files:
    """Return the safetensors file of the model's parameters and running statistics."""
    tensors = {name: np.ascontiguousarray(array) for name, array in model.state.items()}
    return {"model.safetensors": save(tensors, {"format": "pt"})}


TORCH = Format("torch", "a PyTorch state dict", ".safetensors", export)
