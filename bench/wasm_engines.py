"""Networks as WebAssembly in wasmtime, Node and Chromium, compared with the portable engine, for ship_bits.py."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import opsin
from opsin.backends.portable import compile, portable_program
from opsin.backends.wasm import program_module
from opsin.export.goldens import golden_images
from opsin.export.precision import network_of
from opsin.kernels.ir import DTYPES
from opsin.model import Model

LOAD = "const {load} = await import(`file://${process.argv[1]}/index.js`); await load()"


def in_wasmtime(model: Model, precision: str, _: Path) -> bool:
    """Return whether a module gives the bits of the portable engine for the golden images."""
    import wasmtime

    network = network_of(model, precision)
    program = portable_program(network.graph, network.state)
    module = program_module(program)
    store = wasmtime.Store()
    exports: Any = wasmtime.Instance(store, wasmtime.Module(store.engine, module.code), []).exports(store)
    address = ctypes.addressof(exports["memory"].data_ptr(store).contents)
    memory = np.frombuffer((ctypes.c_uint8 * exports["memory"].data_len(store)).from_address(address), np.uint8)
    memory[module.constants : module.constants + len(program.constants)] = np.frombuffer(program.constants, np.uint8)

    def array(place: Any) -> np.ndarray:
        words = memory[place.address : place.address + (memory.size - place.address) // 4 * 4]
        return np.lib.stride_tricks.as_strided(words.view(DTYPES[place.element]), place.shape, place.strides)

    engine = compile(network.graph, 1, 1)
    engine.load_state(network.state)
    for image in network.inputs(golden_images(model.preprocessing.input_shape)):
        array(module.inputs["inputs"])[...] = image[None]
        exports["run"](store)
        for name, expected in engine.run(inputs=image[None]).items():
            if array(module.outputs[name]).tobytes() != np.ascontiguousarray(expected).tobytes():
                return False
    return True


def in_node(model: Model, precision: str, folder: Path) -> bool:
    """Return whether the module loads, which computes its golden images."""
    opsin.ship(model, "js", folder / "js", precision=precision)
    command = ["node", "--input-type=module", "-e", LOAD, str((folder / "js").resolve())]
    return subprocess.run(command, check=False).returncode == 0


def in_chromium(model: Model, precision: str, folder: Path) -> bool:
    """Return whether the page becomes ready, which computes its golden images."""
    from playwright.sync_api import sync_playwright
    from ship_page import opened

    opsin.ship(model, "web", folder / "page.html", precision=precision)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        state, _ = opened(browser, folder / "page.html")
        browser.close()
    return state == "ready"


ENGINES: dict[str, Callable[[Model, str, Path], bool]] = {
    "wasmtime": in_wasmtime, "Node": in_node, "Chromium": in_chromium,
}  # fmt: skip


def missing(engine: str) -> str | None:
    """Return the name of a program or package that an engine needs and that is not installed."""
    packages = {"wasmtime": ["wasmtime"], "Chromium": ["playwright"]}.get(engine, [])
    programs = {"Node": ["node"], "Chromium": ["chromium"]}.get(engine, [])
    absent = [name for name in packages if find_spec(name) is None]
    return next(iter(absent + [name for name in programs if shutil.which(name) is None]), None)
