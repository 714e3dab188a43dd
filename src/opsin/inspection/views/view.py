"""What a view is: a part of the page that shows one thing about a network and its images."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject


class View(Protocol):
    """A view. Its folder also holds its script (`opsin.view({name, mount})`) and its style."""

    name: ClassVar[str]
    """The name of its folder, also in the page's addresses."""

    title: ClassVar[str]
    """The name in the page's navigation."""

    def data(self, subject: Subject, arrays: Arrays) -> dict[str, Any] | None:
        """Return what its script reads, as JSON with numbers of `arrays`; None if there is nothing to show."""

    def markup(self, subject: Subject) -> str:
        """Return HTML that is shown before the script runs; usually nothing."""
