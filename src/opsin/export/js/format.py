"""The format `js`: a module of JavaScript, its types, and the files that it loads."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

from opsin.export.format import Files, Format
from opsin.export.precision import FLOAT32
from opsin.export.runtime.parts import make_parts
from opsin.export.runtime.script import CHECKS, RUNTIME, runtime_script, scripts, text
from opsin.model import Model

ANSWER_TYPES = {
    "classification": "Classification",
    "multilabel": "MultiLabel",
    "regression": "Regression",
    "segmentation": "Segmentation",
    "detection": "Detection",
    "identity": "Identity",
    "self-supervised": "Features",
}


def export(model: Model, *, precision: str = FLOAT32) -> Files:
    """Return the module `index.js` of a model in "float32" or "int8", and what belongs to it."""
    parts = make_parts(model, precision)
    loaded = {
        "model.json": json.dumps(parts.description, indent=1).encode("utf-8"),
        "weights.bin": parts.data,
        "module.wasm": parts.vector,
        "module-scalar.wasm": parts.scalar,
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in loaded.items()}
    code = f"const DIGESTS = {json.dumps(digests, indent=1)}\n"
    code += runtime_script((*CHECKS, *RUNTIME)) + scripts("opsin.export.js", ["load.js"])
    types = text(files("opsin.export.js") / "assets" / "index.d.ts")
    package = {"name": "opsin-model", "version": "1.0.0", "type": "module", "main": "index.js", "types": "index.d.ts"}
    return {
        "index.js": code.encode("utf-8"),
        "index.d.ts": types.replace("ANSWER", ANSWER_TYPES[model.task.name]).encode("utf-8"),
        "package.json": (json.dumps(package, indent=1) + "\n").encode("utf-8"),
        **loaded,
    }


JS = Format("js", "a JavaScript module", "", export, main_file="module.wasm")
