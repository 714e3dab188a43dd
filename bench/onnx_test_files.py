"""Collect the ONNX files that the tests of imports build, for `bench/see_zoo.py --onnx FOLDER/*.onnx`.

    python bench/onnx_test_files.py FOLDER

The tests run, and every file that they write is copied if it can be imported as a classifier of images. Files that a
test damages on purpose are left out, and equal ones are kept once.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.interop.onnx.writer import File  # noqa: E402

import opsin  # noqa: E402

TESTS = ("tests/interop/onnx", "tests/model/test_onnx_import.py", "tests/explain/test_onnx.py")


def main() -> int:
    command = argparse.ArgumentParser(description=__doc__ or "", formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("folder", type=Path)
    folder: Path = command.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write, contents = File.write, set[bytes]()

    def recorded(self: File, path: Path) -> Path:
        contents.add(self.data())
        return write(self, path)

    File.write = recorded  # type: ignore[method-assign]
    pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *(str(ROOT / test) for test in TESTS)])
    File.write = write  # type: ignore[method-assign]
    count = 0
    for data in sorted(contents):
        place = folder / f"{hashlib.sha256(data).hexdigest()[:12]}.onnx"
        place.write_bytes(data)
        try:
            opsin.import_onnx(place)
            count += 1
        except opsin.OpsinError:
            place.unlink()
    print(f"{count} of {len(contents)} files of the tests are classifiers of images, in {folder}")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
