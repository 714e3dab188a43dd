"""The certificate of an export: what it needs, exactly where the plan determines it, and measured per compiler."""

from __future__ import annotations

import json
from typing import Any

import opsin
from opsin.export.c.folder import Folder
from opsin.export.c.ram import ram_bytes


def certificate(folder: Folder, fit: str = "") -> str:
    """Return the certificate as JSON.

    RAM is that of all static variables; the stack comes on top of it. `compilers` has a row for each that was asked,
    and `fit` says whether the model fits, if that was asked.
    """
    shipment = folder.shipment
    model, program = shipment.model, shipment.program
    channels, height, width = model.preprocessing.shape
    data: dict[str, Any] = {
        "name": shipment.prefix,
        "network": model.network,
        "precision": shipment.network.precision,
        "written_by": f"Opsin {opsin.__version__}",
        "image": {"height": height, "width": width, "channels": channels},
        "outputs": shipment.outputs,
        "macs": shipment.macs,
        "ram_bytes": ram_bytes(shipment),
        "weights_bytes": len(program.constants),
        "checksum": f"0x{folder.checksum:08x}",
        "goldens": len(shipment.goldens.values),
        "rows_at_a_time": program.stream.layers if program.stream else 0,
        "layers": [{"layer": scope, "operation": label, "macs": macs} for scope, label, macs in shipment.layers],
        "compilers": [each.to_data() for each in folder.measurements],
        "fit": fit,
    }
    return json.dumps(data, indent=1) + "\n"
