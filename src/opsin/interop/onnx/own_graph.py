"""What Opsin writes about a network into the metadata of its own ONNX files, and reads back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import METADATA_FIELD, METADATA_KEY, ValueRecord, read_entry
from opsin.interop.onnx.tensors import FLOAT_TYPES, open_file
from opsin.interop.onnx.wire import WireReader


@dataclass(frozen=True)
class OwnGraph:
    """The network in a file of Opsin's own.

    `frozen` are the variables that are not trained. If the file also prepares the images, or averages the outputs of
    mirrored ones, `input` and `outputs` are the values where the network itself begins and ends; None and empty if not.
    """

    frozen: frozenset[str]
    input: ValueRecord | None
    outputs: dict[str, str]

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> OwnGraph:
        """Return the entry "graph" of a description; raise `ModelError` if it is damaged."""
        try:
            data = description["graph"]
            network = data.get("network")
            frozen = frozenset(map(str, data["frozen"]))
            if network is None:
                return cls(frozen, None, {})
            sizes = [int(size) for size in network["shape"]]
            record = ValueRecord(str(network["input"]), FLOAT_TYPES[0], (None, *sizes))
            return cls(frozen, record, {str(name): str(value) for name, value in network["outputs"].items()})
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _damaged() from None


def is_own(path: str | os.PathLike[str]) -> bool:
    """Return whether an ONNX file describes a model of Opsin's, so that nothing has to be guessed."""
    try:
        metadata: dict[str, str] = {}
        wire = WireReader()
        for number, value in wire.fields(open_file(Path(path))):
            if number == METADATA_FIELD:
                metadata |= [read_entry(wire, value)]
        description = read_description(metadata)
    except ModelError:  # the reader says what is wrong
        return False
    return description is not None and "preprocessing" in description


def read_description(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what Opsin wrote about a model, None in files of others; raise `ModelError` if it is damaged."""
    if METADATA_KEY not in metadata:
        return None
    try:
        description = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError):
        raise _damaged() from None
    if not isinstance(description, dict):
        raise _damaged()
    return description


def _damaged() -> ModelError:
    return ModelError(f"has damaged metadata ({METADATA_KEY!r}); copy it again, or export it again")
