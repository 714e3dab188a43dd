"""The famous networks, a file a paper."""

from opsin.zoo.lenet5 import lenet5
from opsin.zoo.lenet5_1998 import lenet5_1998
from opsin.zoo.registry import create, names

__all__ = ["create", "lenet5", "lenet5_1998", "names"]
