"""The kinds of input besides images: one folder for each, with its files, its preparation and its augmentation."""

from opsin.inputs.kind import Augmentation, InputKind, Unchanged
from opsin.inputs.prepared import Prepared
from opsin.inputs.registry import described_input, find_kind, kind_of_names

__all__ = ["Augmentation", "InputKind", "Prepared", "Unchanged", "described_input", "find_kind", "kind_of_names"]
